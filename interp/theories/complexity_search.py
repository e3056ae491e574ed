"""Complexity search: solutions of low error and high complexity are found first, then complexity comes down."""

from interp.theories.compression import bits_fall_by_grokking
from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.statistic import Region

NAME = "complexity_search"
SOURCE = "Miller, O'Neill, Bui 2023, Grokking beyond neural networks"

COMPLEXITY_SEARCH = Theory(
    name=NAME,
    statement="Grokking happens wherever complex solutions are easier to reach than simple ones of the same error.",
    source=SOURCE,
    requires="Complexity falls at a train error that stays; more spurious inputs lengthen the gap exponentially.",
    forbids="That complexity does not fall before the jump.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="complexity_falls_at_constant_error",
            statement="From memorization, where train rows are all answered, to the jump the compressed size falls.",
            source=SOURCE,
            function="bits_fall_by_grokking",
            required=Region(high=0.95),
            forbidden=Region(low=1.0),
            rival="accounts in which complexity plays no part",
            rival_region=Region(low=0.95),
            probes="losses,compressibility",
        ),
        of_nothing_here(
            theory=NAME,
            name="spurious_inputs_lengthen_the_gap",
            statement="The delay grows exponentially with the number of spurious inputs.",
            source=SOURCE,
            what="no task of this package has inputs that can be appended without meaning",
            needs="A family of tasks with spurious inputs, and a sweep over their number",
            required=Region(low=0.0),
            rival="more inputs only slow memorization",
            rival_region=Region(high=0.0),
        ),
    ),
    observations=(bits_fall_by_grokking,),
)
