"""Probes of language models and other sequence models: on a text, and on repeated tokens."""

from interp.probes.language.head_changes import head_changes
from interp.probes.language.in_context_score import in_context_score
from interp.probes.language.ngram_scores import ngram_scores
from interp.probes.language.repetition_losses import repetition_losses
from interp.probes.language.residual_dimensions import residual_dimensions
from interp.probes.language.text_losses import text_losses
