"""The base class of verbs, and the stock ones."""


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

    def __str__(self) -> str:
        return self.infinitive

    def serialize(self) -> int:
        """What is stored: the id."""
        return self.id


class Follow(Verb):
    """Somebody followed somebody."""

    id = 1
    infinitive = 'follow'
    past_tense = 'followed'


class Comment(Verb):
    """Somebody commented on something."""

    id = 2
    infinitive = 'comment'
    past_tense = 'commented'


class Love(Verb):
    """Somebody loved something."""

    id = 3
    infinitive = 'love'
    past_tense = 'loved'


class Add(Verb):
    """Somebody added something."""

    id = 4
    infinitive = 'add'
    past_tense = 'added'
