"""Every figure, one function each, from results alone; each says in one sentence what its rows show."""

from specdec_lib.figures.acceptance import acceptance_by_lookahead, acceptance_by_size
from specdec_lib.figures.cost import forward_cost, rates_by_size
from specdec_lib.figures.laws import frozen_context, published_laws
from specdec_lib.figures.libraries import real_model, speed
from specdec_lib.figures.output import save, show
from specdec_lib.figures.places import acceptance_by_place, accepted_counts
from specdec_lib.figures.quality import rouge_parity
from specdec_lib.figures.single_token import overlap
from specdec_lib.figures.speedups import speedup_by_lookahead, theory_against_measurement
from specdec_lib.figures.style import use_style
from specdec_lib.figures.timeline import round_parts
from specdec_lib.figures.variants import combinations, quantization

ALL = {
    "acceptance": acceptance_by_lookahead,
    "acceptance_by_size": acceptance_by_size,
    "acceptance_by_place": acceptance_by_place,
    "accepted_counts": accepted_counts,
    "rates": rates_by_size,
    "forward_cost": forward_cost,
    "round_parts": round_parts,
    "speedup": speedup_by_lookahead,
    "theory": theory_against_measurement,
    "speed": speed,
    "combinations": combinations,
    "quantization": quantization,
    "rouge_parity": rouge_parity,
    "published_laws": published_laws,
    "frozen_context": frozen_context,
    "real_model": real_model,
}
"""The figures of results by the names of their files, in the order of notebook 04."""

__all__ = [
    "ALL",
    "acceptance_by_lookahead",
    "acceptance_by_place",
    "acceptance_by_size",
    "accepted_counts",
    "combinations",
    "forward_cost",
    "frozen_context",
    "overlap",
    "published_laws",
    "quantization",
    "rates_by_size",
    "real_model",
    "rouge_parity",
    "round_parts",
    "save",
    "show",
    "speed",
    "speedup_by_lookahead",
    "theory_against_measurement",
    "use_style",
]
