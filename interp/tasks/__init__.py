"""What is learned: tasks as data, one family a file. A family is one line here."""

from interp.tasks.groups import GroupConfig
from interp.tasks.images import ImagesConfig
from interp.tasks.modular import ModularConfig
from interp.tasks.parity import ParityConfig
