"""The exception family. Each message says what happened and what to do, in one line.

LeNetError
├── ModelError        a network that cannot exist: an impossible shape, an unknown model
├── CheckpointError   a weights file that is damaged, foreign or does not fit
├── DataError         a data set that is missing, damaged, or not what it should be
│   └── DownloadError   every mirror failed
├── PictureError      a picture that cannot be read
├── RecipeError       an unknown recipe, or a value that a recipe cannot have
├── RunError          a run folder that cannot be written, found or resumed
│   └── DivergedError   the loss is no longer a finite number
├── ResultsError      a file of results that cannot be gone on with, or a reading in bulk that broke off
└── DeviceError       a device that this machine does not have

The command line prints the message and ends with exit code 2; nothing else in the package prints.
"""


class LeNetError(Exception):
    """Anything that a user can mend."""


class ModelError(LeNetError):
    """A network that cannot exist: an impossible shape, an unknown model."""


class CheckpointError(LeNetError):
    """A weights file that is damaged, foreign or does not fit."""


class DataError(LeNetError):
    """A data set that is missing, damaged, or not what it should be."""


class DownloadError(DataError):
    """Every mirror failed."""


class PictureError(LeNetError):
    """A picture that cannot be read."""


class RecipeError(LeNetError):
    """An unknown recipe, or a value that a recipe cannot have."""


class RunError(LeNetError):
    """A run folder that cannot be written, found or resumed."""


class DivergedError(RunError):
    """The loss is no longer a finite number."""


class ResultsError(LeNetError):
    """A file of results that cannot be gone on with, or a reading in bulk that broke off."""


class DeviceError(LeNetError):
    """A device that this machine does not have."""
