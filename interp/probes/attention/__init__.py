"""What heads look at."""

from interp.probes.attention.attention_circuits import attention_circuits
from interp.probes.attention.attention_patterns import attention_patterns
from interp.probes.attention.attention_periodicity import attention_periodicity
from interp.probes.attention.induction_scores import induction_scores
