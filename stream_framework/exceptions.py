"""Every error that the library raises itself, under one root.

Errors that 1.4.0 raised as a builtin also derive from that builtin, so ``except ValueError`` in an application
goes on working.
"""


class StreamFrameworkError(Exception):
    """The root: ``except StreamFrameworkError`` catches whatever the library itself complains about."""


class SerializationException(StreamFrameworkError):
    """Data that can't be written in, or read from, one of the library's formats."""


class DuplicateActivityException(StreamFrameworkError):
    """The activity is in the aggregated activity already."""


class ActivityNotFound(StreamFrameworkError):
    """The activity isn't in the aggregated activity."""


class ConfigurationError(StreamFrameworkError, ValueError):
    """A setting, or a class attribute of a feed or manager, that can't work."""


class MissingDependencyError(StreamFrameworkError, ImportError):
    """A client library that the chosen backend needs isn't installed; the message has the pip command."""


class InvalidIdError(StreamFrameworkError, TypeError, ValueError):
    """A value that can't serve as an id; 1.4.0 raised one of the two builtins, depending on where it noticed."""


class NoIdError(InvalidIdError, AttributeError):
    """An object that stands for an actor, an object or a target, but has no ``id``."""


class InvalidArgumentError(StreamFrameworkError, TypeError, ValueError):
    """An argument that can't work: a negative limit, say."""


class NotDefinedError(StreamFrameworkError, NotImplementedError, ValueError):
    """A method that the application, or a backend, has to define."""


class StorageError(StreamFrameworkError):
    """A server refused or failed an operation.

    Each backend raises a subclass that also derives from the driver's own error class, with the driver's exception
    as its ``__cause__``; the message names the server, the key and the remedy, never a password.
    """


class StorageConnectionError(StorageError):
    """A server can't be reached, or didn't answer in time. Running the same work again is safe."""


class UpdateConflictError(StorageError):
    """Other writers kept changing a feed during every one of a bounded number of attempts to change it."""


class MessageError(StreamFrameworkError, TypeError, ValueError):
    """A task message that can't be published (no import path, no JSON), or that a worker refuses to run."""
