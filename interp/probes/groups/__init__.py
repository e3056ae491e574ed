"""Networks that compose in a finite group, in the language of representations and of cosets."""

from interp.probes.groups.character_similarity import character_similarity
from interp.probes.groups.coset_concentration import coset_concentration
from interp.probes.groups.representation_losses import representation_losses
from interp.probes.groups.representation_spectrum import representation_spectrum
