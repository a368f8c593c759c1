"""What an expert writes for Redis without the library: the same keys and texts, by redis-py and a few short scripts.

Each work has the plain way and the best that we know: the same chunks, and the same guarantees where that is said. None
of them takes ids that are no ints, checks what it is given, or asks what was published last.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks import plain, works
from stream_framework.verbs import Love

#: How many feeds one pipeline is for, unless a work says otherwise.
CHUNK = 100
#: How long feeds are, how many hashes activities are in, how many groups are looked at for one to join.
LENGTH = 100
HASHES = 10
LOOKED_AT = 20

_EPOCH = datetime.datetime(1970, 1, 1)

#: A command that reads ids, without its key: ``('ZREVRANGE', 0, 24)``.
Command = tuple[Any, ...]

_ADD = """
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, ARGV[1], ARGV[2])
end
"""

_ADD_AND_TRIM = """
for _, key in ipairs(KEYS) do
  if redis.call('ZADD', key, ARGV[1], ARGV[2]) == 1 then
    redis.call('ZREMRANGEBYRANK', key, '0', ARGV[3])
  end
end
"""

# Ids and activities in one round trip. Lua has no MD5, so each hash is asked for what those before it didn't have.
_READ_PAGE = """
local members = redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
local page, missing, places, left = {}, {}, {}, #members
for i, member in ipairs(members) do
  page[2 * i - 1], page[2 * i], missing[i], places[i] = member, false, member, 2 * i
end
for hash = 2, #KEYS do
  if left == 0 then break end
  local values, still = redis.call('HMGET', KEYS[hash], unpack(missing, 1, left)), 0
  for i = 1, left do
    if values[i] then
      page[places[i]] = values[i]
    else
      still = still + 1
      missing[still], places[still] = missing[i], places[i]
    end
  end
  left = still
end
return page
"""

# The entry of one group among the newest of each feed; false where there is none.
_FIND = """
local found = {}
for i, key in ipairs(KEYS) do
  found[i] = false
  for _, member in ipairs(redis.call('ZREVRANGE', key, '0', ARGV[2])) do
    if string.sub(member, 1, #ARGV[1]) == ARGV[1] then
      found[i] = member
      break
    end
  end
end
return found
"""

# Put a group in the place of what was read, feed by feed, if that is still there, and if nobody else has started the
# group where there was none; trim; and mark it as unseen and unread, if the feed has lists for that.
# ARGV: the group, the rank to look up to, score, rank to trim to, lists of each feed; then for each feed what was read
# ('' for nothing), what is to be there, the mark to remove ('' for none), the mark to add.
_REPLACE = """
local refused, lists = {}, tonumber(ARGV[5])
local function started(key)
  for _, member in ipairs(redis.call('ZREVRANGE', key, '0', ARGV[2])) do
    if string.sub(member, 1, #ARGV[1]) == ARGV[1] then return true end
  end
end
for i = 1, #KEYS / (lists + 1) do
  local first = (lists + 1) * (i - 1) + 1
  local key, old, new, was, mark = KEYS[first], unpack(ARGV, 4 * i + 2, 4 * i + 5)
  local kept
  if old == '' then kept = not started(key) else kept = redis.call('ZSCORE', key, old) end
  if not kept then
    refused[#refused + 1] = i
  else
    for list = first + 1, first + lists do
      if was ~= '' then redis.call('LREM', KEYS[list], 1, was) end
      redis.call('RPUSH', KEYS[list], mark)
      redis.call('LTRIM', KEYS[list], '-100', '-1')
    end
    redis.call('ZADD', key, ARGV[3], new)
    if old ~= '' then redis.call('ZREM', key, old) end
    redis.call('ZREMRANGEBYRANK', key, '0', ARGV[4])
  end
end
return refused
"""

#: What each group is kept as: text -> text of it with one activity more; ``None`` for a new group.
Merge = Callable[[Any], str]


class ByHand:
    """Works on the keys that the benchmark's feeds have.

    :param client: of redis-py, which decodes
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.hashes = [f'{works.TOKEN}:activities:{number}' for number in range(HASHES)]
        self.activities = plain.Activities({Love.id: Love})
        self.groups = plain.Groups()
        self.notifications = plain.Groups(self.activities)
        self.add, self.add_and_trim, self.read_page, self.find, self.replace = (
            client.script_load(script) for script in (_ADD, _ADD_AND_TRIM, _READ_PAGE, _FIND, _REPLACE)
        )

    # Fan-out to flat feeds

    def fan_out_by_pipeline(self, users: Sequence[int], size: int = CHUNK, trim: bool = False) -> None:
        """``ZADD``, feed by feed, and with ``trim`` ``ZREMRANGEBYRANK``; so many feeds in a pipeline."""
        activity_id = works.newer().serialization_id
        pair = {str(activity_id): activity_id}
        for keys in _chunks(users, size, 'flat'):
            pipeline = self.client.pipeline(transaction=False)
            for key in keys:
                pipeline.zadd(key, pair)
                if trim:
                    pipeline.zremrangebyrank(key, 0, -LENGTH - 1)
            pipeline.execute()

    def fan_out_by_script(self, users: Sequence[int], size: int = CHUNK, trim: bool = False) -> None:
        """One call of a script for so many feeds."""
        activity_id = works.newer().serialization_id
        sha = self.add_and_trim if trim else self.add
        for keys in _chunks(users, size, 'flat'):
            self.client.evalsha(sha, len(keys), *keys, activity_id, activity_id, -LENGTH - 1)

    # Fan-out to groups

    def read_merge_write(self, users: Sequence[int], object_id: int) -> None:
        """The plain way for aggregated feeds: read 20 groups of each, change or add one, write; nothing is guarded."""
        head, score, merge = self.joined(works.joining(object_id))
        for keys in _chunks(users, CHUNK, 'aggregated'):
            pipeline = self.client.pipeline(transaction=False)
            for key in keys:
                pipeline.zrevrange(key, 0, LOOKED_AT - 1)
            replies = pipeline.execute()
            pipeline = self.client.pipeline(transaction=False)
            for key, members in zip(keys, replies, strict=True):
                old = next((member for member in members if member.startswith(head)), None)
                if old is not None:
                    pipeline.zrem(key, old)
                pipeline.zadd(key, {merge(old): score})
            pipeline.execute()

    def guarded_scripts(self, users: Sequence[int], object_id: int) -> None:
        """The best way for aggregated feeds: a script finds the group, another writes if nobody else has meanwhile."""
        head, score, merge = self.joined(works.joining(object_id))
        for keys in _chunks(users, CHUNK, 'aggregated'):
            self.change(keys, head, score, merge)

    def guarded_scripts_and_marks(self, users: Sequence[int], object_id: int) -> None:
        """The best way for notification feeds: the same two scripts, of which the second marks the group, too."""
        head, score, merge = self.notified(works.joining(object_id))
        for keys in _chunks(users, CHUNK, 'notification'):
            self.change(keys, head, score, merge, lists=2)

    def change(self, keys: Sequence[str], head: str, score: int, merge: Merge, lists: int = 0) -> None:
        """Find, merge, replace; once more for the feeds that somebody else has written to meanwhile."""
        while keys:
            found = self.client.evalsha(self.find, len(keys), *keys, head, LOOKED_AT - 1)
            names: list[str] = []
            values: list[Any] = [head, LOOKED_AT - 1, score, -LENGTH - 1, lists]
            for key, old in zip(keys, found, strict=True):
                names.append(key)
                if lists:
                    names += (f'list:{key}:unseen', f'list:{key}:unread')
                values += (old or '', merge(old), mark_of(old) if old and lists else '', f'{head}{score}')
            refused = self.client.evalsha(self.replace, len(names), *names, *values)
            keys = [keys[number - 1] for number in refused]

    def joined(self, activity: Any) -> tuple[str, int, Merge]:
        """For groups of ids: what the activity's group starts with, its new score, and how to add to its text."""
        return _merging(activity, str(activity.serialization_id))

    def notified(self, activity: Any) -> tuple[str, int, Merge]:
        """The same for groups of whole activities."""
        return _merging(activity, self.activities.dumps(activity))

    def notify(self, user: int, activity: Any) -> None:
        """The plain way for one notification feed: read, change, write in ``MULTI``; nothing is guarded."""
        head, score, merge = self.notified(activity)
        key = f'{works.TOKEN}:notification:{user}'
        members = self.client.zrevrange(key, 0, LOOKED_AT - 1)
        old = next((member for member in members if member.startswith(head)), None)
        pipeline = self.client.pipeline(transaction=True)
        if old is not None:
            pipeline.zrem(key, old)
        pipeline.zadd(key, {merge(old): score})
        for name in ('unseen', 'unread'):
            if old is not None:
                pipeline.lrem(f'list:{key}:{name}', 1, mark_of(old))
            pipeline.rpush(f'list:{key}:{name}', f'{head}{score}')
            pipeline.ltrim(f'list:{key}:{name}', -LENGTH, -1)
        pipeline.execute()

    def notify_guarded(self, user: int, activity: Any) -> None:
        """The best way for one notification feed: two scripts."""
        self.change([f'{works.TOKEN}:notification:{user}'], *self.notified(activity), lists=2)

    # Pages

    def page_in_two_trips(self, user: int, command: Command) -> list[Any]:
        """Read ids, then the activities from their hashes, and make objects of them."""
        name, *arguments = command
        return self.hydrated(self.client.execute_command(name, f'{works.TOKEN}:flat:{user}', *arguments))

    def page_by_script(self, user: int, command: Command) -> list[Any]:
        """Read ids and activities in one round trip, and make objects of them."""
        keys = (f'{works.TOKEN}:flat:{user}', *self.hashes)
        page = self.client.evalsha(self.read_page, len(keys), *keys, *command)
        return [self.activities.loads(text) for text in page[1::2]]

    def hydrated(self, members: Sequence[str]) -> list[Any]:
        """The activities of some ids, by one pipeline."""
        by_hash: dict[str, list[str]] = {}
        for member in members:
            by_hash.setdefault(self.hash_of(member), []).append(member)
        pipeline = self.client.pipeline(transaction=False)
        for key, fields in by_hash.items():
            pipeline.hmget(key, fields)
        found = {
            field: value
            for fields, values in zip(by_hash.values(), pipeline.execute(), strict=True)
            for field, value in zip(fields, values, strict=True)
        }
        return [self.activities.loads(found[member]) for member in members]

    def groups_in_two_trips(self, user: int) -> list[Any]:
        """Read groups of ids, then their activities, and make objects of both."""
        groups = [self.groups.loads(text) for text in self.client.zrevrange(f'{works.TOKEN}:aggregated:{user}', 0, 24)]
        activities = iter(self.hydrated([str(item) for group in groups for item in group.activities]))
        for group in groups:
            group.activities = list(itertools.islice(activities, len(group.activities)))
        return groups

    def notifications_in_one_trip(self, user: int) -> list[Any]:
        """Read groups of whole activities, and which are unseen and unread; make objects of them."""
        key = f'{works.TOKEN}:notification:{user}'
        pipeline = self.client.pipeline(transaction=False)
        pipeline.zrevrange(key, 0, 24)
        for name in ('unseen', 'unread'):
            pipeline.lrange(f'list:{key}:{name}', 0, -1)
        texts, unseen, unread = pipeline.execute()
        unseen, unread = set(unseen), set(unread)
        groups = [self.notifications.loads(text) for text in texts]
        for group in groups:
            group.is_seen, group.is_read = group.group not in unseen, group.group not in unread
        return groups

    # Activities

    def hash_of(self, field: str) -> str:
        """The key of the hash that an activity is in."""
        return self.hashes[int(hashlib.md5(field.encode()).hexdigest(), 16) % HASHES]

    def stored(self, item: Any) -> tuple[str, str, str]:
        """Key, field and value of an activity in the storage."""
        field = str(item.serialization_id)
        return self.hash_of(field), field, self.activities.dumps(item)

    # Following and importing

    def follow(self, key: str, targets: Iterable[int]) -> None:
        """Copy what some users did to a feed: two pipelines."""
        pipeline = self.client.pipeline(transaction=False)
        for target in targets:
            pipeline.zrevrange(f'{works.TOKEN}:user:{target}', 0, 4999, withscores=True)
        pairs = {member: score for reply in pipeline.execute() for member, score in reply}
        pipeline = self.client.pipeline(transaction=False)
        pipeline.zadd(key, pairs)
        pipeline.zremrangebyrank(key, 0, -LENGTH - 1)
        pipeline.execute()

    def import_activities(self, user: int, imported: Iterable[Any]) -> None:
        """Store activities, and what a user did: one pipeline."""
        pipeline = self.client.pipeline(transaction=False)
        by_hash: dict[str, dict[str, str]] = {}
        pairs = {}
        for item in imported:
            key, field, value = self.stored(item)
            by_hash.setdefault(key, {})[field] = value
            pairs[field] = item.serialization_id
        for key, values in by_hash.items():
            pipeline.hset(key, mapping=values)
        pipeline.zadd(f'{works.TOKEN}:user:{user}', pairs)
        pipeline.execute()


def mark_of(text: str) -> str:
    """What a stored group is marked under: its name and its score."""
    group, _, updated, _ = text.split(';;', 3)
    return f'{group};;{int(float(updated) * 1000)}'


def _chunks(users: Sequence[int], size: int, name: str) -> Iterator[list[str]]:
    for start in range(0, len(users), size):
        yield [f'{works.TOKEN}:{name}:{user}' for user in users[start : start + size]]


def _merging(activity: Any, item: str) -> tuple[str, int, Merge]:
    seconds = (activity.time - _EPOCH).total_seconds()
    head = f'v3{activity.verb.id}-{activity.object_id}-{activity.time:%Y-%m-%d};;'

    def merge(old: str | None) -> str:
        if not old:
            return f'{head}{seconds:.6f};;{seconds:.6f};;-1;;-1;;{item};;0'
        name, created, _, seen, read, items, minimized = old.split(';;')
        return f'{name};;{created};;{seconds:.6f};;{seen};;{read};;{items};{item};;{minimized}'

    return head, int(seconds * 1000), merge
