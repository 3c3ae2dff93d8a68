"""The exception family. Each message says what happened and what to do, in one line.

LeNetError
├── ModelError        an invalid network: an impossible shape, an unknown model
├── CheckpointError   a weights file that is damaged, foreign or does not fit
├── DataError         a data set that is missing, damaged or invalid
│   └── DownloadError   every mirror failed
├── PictureError      a picture that cannot be read
├── RecipeError       an unknown recipe, or an invalid value of a setting
├── RunError          a run folder that cannot be written, found or resumed
│   ├── BusyError       a run that another process is training
│   └── DivergedError   the loss is no longer a finite number
├── ResultsError      a results file that cannot be continued, or bulk reading that failed
├── ServingError      a server that cannot start
├── ExportError       a network that cannot be written in the form asked for
└── DeviceError       a device that this machine does not have

The command line prints the message and exits with code 2. No other part of the package prints.
"""


class LeNetError(Exception):
    """Any error that a user can fix. Its text is one line, whatever the names that it quotes hold."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class ModelError(LeNetError):
    """An invalid network: an impossible shape, an unknown model."""


class CheckpointError(LeNetError):
    """A weights file that is damaged, foreign or does not fit."""


class DataError(LeNetError):
    """A data set that is missing, damaged or invalid."""


class DownloadError(DataError):
    """Every mirror failed."""


class PictureError(LeNetError):
    """A picture that cannot be read."""


class RecipeError(LeNetError):
    """An unknown recipe, or an invalid value of a setting."""


class RunError(LeNetError):
    """A run folder that cannot be written, found or resumed."""


class BusyError(RunError):
    """A run that another process is training."""


class DivergedError(RunError):
    """The loss is no longer a finite number."""


class ResultsError(LeNetError):
    """A results file that cannot be continued, or bulk reading that failed."""


class ServingError(LeNetError):
    """A server that cannot start."""


class ExportError(LeNetError):
    """A network that cannot be written in the form asked for."""


class DeviceError(LeNetError):
    """A device that this machine does not have."""
