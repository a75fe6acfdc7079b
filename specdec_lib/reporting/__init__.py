"""What is made of measured rows: statistics, tables and the sections of RESULTS.md. Knows results, never a model."""
