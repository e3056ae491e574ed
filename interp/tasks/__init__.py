"""What is learned: tasks as data, one family a file. A family is one line here."""

from interp.tasks.digits import DigitsConfig
from interp.tasks.groups import GroupConfig
from interp.tasks.images import ImagesConfig
from interp.tasks.languages import LanguagesConfig
from interp.tasks.modular import ModularConfig
from interp.tasks.parity import ParityConfig
from interp.tasks.sequences import SequencesConfig
