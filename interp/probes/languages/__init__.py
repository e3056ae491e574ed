"""Does what is learned in one language cross over to another, and through one circuit or two?"""

from interp.probes.languages.circuit_removal import circuit_removal
from interp.probes.languages.component_effects import component_effects
from interp.probes.languages.language_alignment import language_alignment
from interp.probes.languages.language_losses import language_losses
from interp.probes.languages.language_patching import language_patching
from interp.probes.languages.language_spectra import language_spectra
from interp.probes.languages.unit_removal import unit_removal
