"""Networks that calculate digit by digit: which digits they know, and where they carry."""

from interp.probes.digits.carry_patching import carry_patching
from interp.probes.digits.carry_readout import carry_readout
from interp.probes.digits.digit_attention import digit_attention
from interp.probes.digits.digit_losses import digit_losses
from interp.probes.digits.digit_spectrum import digit_spectrum
