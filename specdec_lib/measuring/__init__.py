"""How rows are measured: what there is to measure, the experiments, devices at work, and the way to disk."""
