"""The base class of verbs, the stock ones, and which verbs are registered."""

from __future__ import annotations

from typing import Any

from stream_framework import settings
from stream_framework.exceptions import ConfigurationError
from stream_framework.utils import get_class_from_string


class Verb:
    """What an actor can do. Subclass it, give it an id of its own below 1000, and register it.

    Activities hold the class itself, not an instance.

    >>> from stream_framework.verbs import get_verb_by_id, register
    >>> class Retweet(Verb):
    ...     id = 987
    ...     infinitive = 'retweet'
    ...     past_tense = 'retweeted'
    >>> register(Retweet)
    >>> get_verb_by_id(987) is Retweet
    True
    """

    #: What is stored: unique, 0 to 999, never changed.
    id: int = 0
    #: "love"
    infinitive: str = ''
    #: "loved"
    past_tense: str = ''
    #: The type that :meth:`Activity.to_as2 <stream_framework.activity.Activity.to_as2>` gives: one of the activity
    #: types of Activity Streams 2.0 (``Like``, ``Create``, ``Announce`` and so on), ``Activity`` where none fits.
    as2_type: str = 'Activity'

    def __str__(self) -> str:
        return self.infinitive

    def serialize(self) -> int:
        """Return what is stored: the id."""
        return self.id


def verb_class(verb: Any) -> Any:
    """Return the class of a verb that was given as an instance; anything else comes back as it is.

    >>> verb_class(Love()) is Love, verb_class(Love) is Love
    (True, True)
    """
    if isinstance(verb, Verb) and verb.id == type(verb).id:
        return type(verb)
    return verb


class Follow(Verb):
    """Somebody followed somebody."""

    id = 1
    infinitive = 'follow'
    past_tense = 'followed'
    as2_type = 'Follow'


class Comment(Verb):
    """Somebody commented on something."""

    id = 2
    infinitive = 'comment'
    past_tense = 'commented'
    as2_type = 'Create'


class Love(Verb):
    """Somebody loved something."""

    id = 3
    infinitive = 'love'
    past_tense = 'loved'
    as2_type = 'Like'


class Add(Verb):
    """Somebody added something."""

    id = 4
    infinitive = 'add'
    past_tense = 'added'
    as2_type = 'Add'


_STOCK: tuple[type[Verb], ...] = (Follow, Comment, Love, Add)
#: Id -> verb.
VERB_DICT: dict[int, type[Verb]] = {verb.id: verb for verb in _STOCK}
_other_storages: dict[str, Any] = {}


def get_verb_storage() -> Any:
    """Return where verbs are registered: ``VERB_DICT``, or an instance of what ``STREAM_VERB_STORAGE`` names."""
    path = settings.STREAM_VERB_STORAGE
    if path == 'in-memory':
        return VERB_DICT
    if not isinstance(path, str) or path not in _other_storages:
        if not isinstance(path, str):
            raise ConfigurationError(
                f"STREAM_VERB_STORAGE is {path!r}: give 'in-memory', or the import path of a class of dicts"
            )
        storage = _other_storages[path] = get_class_from_string(path)()
        for verb in _STOCK:
            # An application's own storage need not have more than ``get`` and items.
            if storage.get(verb.id) is None:
                storage[verb.id] = verb
    return _other_storages[path]


def register(verb: type[Verb]) -> None:
    """Make a verb known, so that stored activities with its id can be read; a second time changes nothing.

    Every process that reads feeds has to: do it in the module that defines the verb.

    :raises ValueError: for what is no subclass of ``Verb``, or if another verb holds the id
    """
    if not (isinstance(verb, type) and issubclass(verb, Verb)):
        raise ValueError(f'{verb!r} is no verb: derive a class from stream_framework.verbs.base.Verb')
    storage = get_verb_storage()
    registered = storage.get(verb.id)
    if registered is not None and registered is not verb:
        raise ValueError(
            f'{verb.__module__}.{verb.__qualname__} can not have id {verb.id}: '
            f'{registered.__module__}.{registered.__qualname__} has it already; choose another id'
        )
    storage[verb.id] = verb


def get_verb_by_id(verb_id: int) -> type[Verb]:
    """Return the verb that an id stands for.

    :raises ValueError: if it is no int
    :raises KeyError: if no verb of that id is registered
    """
    if not isinstance(verb_id, int):
        raise ValueError(f'{verb_id!r} is no id of a verb: it must be an int')
    try:
        return get_verb_storage()[verb_id]
    except KeyError as error:
        raise KeyError(
            f'no verb has id {verb_id}: define it and call stream_framework.verbs.register(TheVerb) before '
            'activities are read'
        ) from error
