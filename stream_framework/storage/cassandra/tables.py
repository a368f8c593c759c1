"""Tables as the server has them. They may differ from their models: 1.4.0 made tables with fewer and narrower columns.

=======================  =============================================================================================
of 1.4.0                 what that means
=======================  =============================================================================================
no ``version``           changes are not guarded, until ``sync`` has added the column
no ``ids``               ids that are no int are refused, until ``sync`` has added the column
no ``minimized_...``     exact counts past the limit of a group are not kept, nor when it was seen and read
``int`` ids              larger ids are refused: a column's type can't be altered, the feed has to move to a new table
``ascii`` keys, names    others are refused, likewise; such a table may hold groups under the 13-digit ids of 1.4.0
=======================  =============================================================================================
"""

from __future__ import annotations

import datetime
import functools
import logging
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from stream_framework import settings
from stream_framework.exceptions import SerializationException
from stream_framework.serializers.utils import short
from stream_framework.storage.cassandra import connection
from stream_framework.storage.cassandra.batches import Unbound
from stream_framework.storage.cassandra.client import bound
from stream_framework.storage.cassandra.driver import ValidationError, columns
from stream_framework.storage.cassandra.errors import SYNC, refused, translated
from stream_framework.storage.cassandra.mapper import NAME, FeedModel

logger = logging.getLogger(__name__)

_EPOCH = datetime.datetime(1970, 1, 1)
_MILLISECOND = datetime.timedelta(milliseconds=1)

#: The static columns in which the partition of a notification feed keeps its markers.
LISTS = ('unseen', 'unread')
#: Columns that are left out where the table hasn't got them.
_LEFT_OUT = frozenset(('minimized_activities', 'seen_at', 'read_at'))

#: What the server adds for each cell and each row when it measures a batch, in bytes, roughly.
CELL_BYTES, ROW_BYTES = 22, 20
#: The largest row that is sent: the server refuses a mutation of half a commit log segment, 16 MiB by default.
MAX_ROW_BYTES = 12 * 2**20

_CLEAR = 'DELETE FROM {table} USING TIMESTAMP ? WHERE feed_id IN ? AND activity_id IN ?'

# Types of columns whose values need no conversion.
_PLAIN_COLUMNS = (columns.BigInt, columns.VarInt, columns.Text, columns.Bytes)

_tables: dict[Any, Table] = {}


class _OwnBatches(logging.Filter):
    """Keep one warning out of the log, which the driver would log for every batch of more than ten feeds.

    The server warns (``unlogged_batch_across_partitions_warn_threshold``) because one node may have to spread such a
    batch over many others. The library's batches are for feeds that the same nodes have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tables: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        words = record.getMessage() if record.levelno == logging.WARNING else ''
        if 'Unlogged batch covering' not in words:
            return True
        return words.partition('[')[2].partition(']')[0] not in self.tables


_own_batches = _OwnBatches()


def expect_batches(keyspace: str, table: str) -> None:
    """Keep the server's warnings of batches that cover many partitions of a table out of the log."""
    _own_batches.tables.add(f'{keyspace}.{table}')
    logging.getLogger('cassandra.protocol').addFilter(_own_batches)


class Row:
    """A row to write: its values, serialized once for all the feeds that get it."""

    __slots__ = ('bytes', 'id', 'is_whole', 'query', 'values')

    def __init__(self, query: str, values: list[Any], size: int, row_id: bytes, is_whole: bool) -> None:
        #: The query that writes it.
        self.query = query
        #: The query's values, but for the first, the feed's key.
        self.values = values
        #: About what the server counts for it, without the key.
        self.bytes = size
        #: The id of the row, serialized.
        self.id = row_id
        #: Whether it sets every column of the table, so that no value of an older row can show through.
        self.is_whole = is_whole


class Table:
    """The table of one model: its columns, its statements, and what can be written to it."""

    def __init__(self, model: Any, keyspace: str, metadata: Any, cluster: Any) -> None:
        self.model = model
        self.metadata = metadata
        self.cluster = cluster
        self.keyspace = keyspace
        self.name = f'"{keyspace}"."{metadata.name}"'
        types = {name: column.cql_type for name, column in metadata.columns.items()}
        self.key_type = types.get('feed_id', 'text')
        #: Attribute of the model -> column, for the columns that the table has; the key first.
        self.columns: dict[str, Any] = {}
        #: The same for static columns.
        self.static: dict[str, Any] = {}
        #: Attributes of the model without a column in the table.
        self.missing: list[str] = []
        for attribute, column in model._columns.items():
            if column.db_field_name not in types:
                self.missing.append(attribute)
            elif column.static:
                self.static[attribute] = column
            else:
                self.columns[attribute] = column
        self.types = {attribute: types[column.db_field_name] for attribute, column in self.columns.items()}
        #: Whether changes of a feed can be made to depend on its version.
        self.has_version = 'version' in self.static
        #: Whether 1.4.0 made it.
        self.is_legacy = self.key_type == 'ascii'
        self._insert_queries: dict[tuple[str, ...], str] = {}
        self._renamed = {
            column.db_field_name: attribute
            for attribute, column in self.columns.items()
            if column.db_field_name != attribute
        }

    def sql(self, query: str) -> str:
        """Fill the names of the table and its columns into a query."""
        return query.format(table=self.name, columns=self._column_list, **self._statics)

    @functools.cached_property
    def _column_list(self) -> str:
        return ', '.join(f'"{column.db_field_name}"' for column in self.columns.values())

    @functools.cached_property
    def write_times(self) -> str:
        """Selects when each value of a row was written, for the columns where the server can tell."""
        names = [
            f'"{column.db_field_name}"'
            for attribute, column in self.columns.items()
            if attribute not in ('feed_id', 'activity_id') and not isinstance(column, columns.BaseContainerColumn)
        ]
        return ', '.join(f'WRITETIME({name}) AS w{number}' for number, name in enumerate(names))

    @functools.cached_property
    def _statics(self) -> dict[str, str]:
        return {name: f'"{column.db_field_name}"' for name, column in self.static.items()}

    def statement(self, query: str, *values: Any) -> Any:
        """Return a bound statement; ``{table}`` and ``{columns}`` in the query are filled in."""
        return connection.prepare(self.sql(query)).bind(values)

    def _insert_query(self, attributes: tuple[str, ...]) -> str:
        """Return the query that writes the key and these columns."""
        query = self._insert_queries.get(attributes)
        if query is None:
            names = ', '.join(f'"{self.columns[attribute].db_field_name}"' for attribute in ('feed_id', *attributes))
            marks = ', '.join('?' * (1 + len(attributes)))
            query = self._insert_queries[attributes] = f'INSERT INTO {self.name} ({names}) VALUES ({marks})'
        return query

    def key(self, key: Any) -> bytes:
        """Serialize the key of a feed.

        :raises StorageError: for a key that the column can't hold
        """
        return self.keys([key])[0]

    def keys(self, keys: Iterable[Any]) -> list[bytes]:
        """Serialize the keys of feeds.

        :raises StorageError: for a key that the column can't hold
        """
        encoding = 'ascii' if self.is_legacy else 'utf-8'
        try:
            return [str(key).encode(encoding) for key in keys]
        except UnicodeEncodeError as error:
            raise refused(
                f'the table {self.name} keeps keys as {self.key_type}, which this key is not: '
                'give the feed class another timeline_cf_name, whose table will keep any text',
                error.object,
            ) from error

    def encode(self, data: Any, replaces: bool = False, key: Any = None) -> Row:
        """Serialize a row, but for the key.

        :param data: a dict of columns, or an instance of the model
        :param key: the key of the feed, for messages; ``None`` if many feeds get the row
        :param replaces: whether columns without a value are set to null. Otherwise they are not written: in a new row
            that is the same, and leaves no tombstones
        :raises SerializationException: if the table can't hold a value
        """
        get = data.get if isinstance(data, dict) else functools.partial(_value_of, data)
        attributes: list[str] = []
        values: list[Any] = []
        row_id = b''
        size = ROW_BYTES
        for attribute, convert, serialize, version in self._encoders:
            value = get(attribute)
            try:
                if value is not None and convert is not None:
                    value = convert(attribute, value)
                if value is None:
                    if replaces:
                        attributes.append(attribute)
                        values.append(None)
                    continue
                binary = serialize(value, version)
            except (TypeError, ValueError, AttributeError, struct.error, ValidationError) as error:
                raise SerializationException(
                    f'{attribute}={short(value)} does not fit the table {self.name}: {error}'
                ) from error
            if attribute == 'activity_id':
                row_id = binary
            attributes.append(attribute)
            values.append(binary)
            size += CELL_BYTES + len(binary)
        for attribute in self.missing:
            if get(attribute) and attribute not in _LEFT_OUT:
                raise SerializationException(
                    f'the table {self.name} has no column for {attribute}={short(get(attribute))}: add it, {SYNC}'
                )
        if size > MAX_ROW_BYTES:
            where = '' if key is None else f'feed {key!r}, '
            raise SerializationException(
                f'{where}id {get("activity_id")}: a row of {size} bytes is larger than the {MAX_ROW_BYTES} that '
                'Cassandra takes: keep large values elsewhere, and only a reference in extra_context'
            )
        return Row(self._insert_query(tuple(attributes)), values, size, row_id, len(values) == len(self._encoders))

    @functools.cached_property
    def _encoders(self) -> list[tuple[str, Any, Any, int]]:
        """Name, conversion to a value (or ``None``), serializer and protocol, for each column but the key."""
        attributes = [attribute for attribute in self.columns if attribute != 'feed_id']
        prepared = connection.prepare(self._insert_query(tuple(attributes)))
        encoders = []
        for spec, attribute in zip(prepared.column_metadata[1:], attributes, strict=True):
            column = self.columns[attribute]
            if isinstance(column, columns.DateTime):
                convert: Any = self._milliseconds
            elif self.types[attribute] in ('int', 'ascii'):
                convert = self._narrow
            else:
                # The driver makes the same checks as cqlengine.
                convert = None if type(column) in _PLAIN_COLUMNS else self._to_database
            encoders.append((attribute, convert, spec.type.serialize, prepared.protocol_version))
        return encoders

    def _milliseconds(self, attribute: str, value: Any) -> Any:
        # cqlengine calculates with floats, and may be a millisecond off.
        if isinstance(value, datetime.datetime):
            return (value.replace(tzinfo=None) - _EPOCH) // _MILLISECOND
        return self._to_database(attribute, value)

    def _to_database(self, attribute: str, value: Any) -> Any:
        return self.columns[attribute].to_database(value)

    def _narrow(self, attribute: str, value: Any) -> Any:
        value = self._to_database(attribute, value)
        if isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise SerializationException(
                f'{attribute}={value} does not fit the table {self.name}, which 1.4.0 made: its columns hold 32 bits, '
                "and a column's type can't be altered. Give the feed class another timeline_cf_name, whose table will "
                f'have 64 bits, create it ({SYNC}), and copy the feeds that you keep'
            )
        if isinstance(value, str) and not value.isascii():
            raise SerializationException(
                f'{attribute}={short(value)} does not fit the table {self.name}, which 1.4.0 made: its columns hold '
                'ASCII. Give the feed class another timeline_cf_name, whose table will hold any text'
            )
        return value

    def insert(self, key: bytes, row: Row) -> Any:
        """Return the statement that writes a row to a feed."""
        return bound(connection.prepare(row.query), [key, *row.values])

    def clear(self, keys: Sequence[bytes], row_ids: Sequence[bytes]) -> Unbound:
        """Return the statement that deletes older versions of rows: all written before now.

        Without it, a row that is written again would keep values that only its older version had. While the row is
        there, the server doesn't count this deletion as a tombstone; it would count columns that are set to null.
        """
        prepared = connection.prepare(self.sql(_CLEAR))
        stamp = struct.pack('>q', connection.timestamp() - 1)
        return Unbound(prepared, [stamp, _packed_list(keys), _packed_list(row_ids)], 0)

    def rows(self, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows with the model's names of columns, without rows that have static columns only."""
        found = [row for row in found if row['activity_id'] is not None]
        if self._renamed:
            found = [{self._renamed.get(name, name): value for name, value in row.items()} for row in found]
        return found


def _packed_list(items: Sequence[bytes]) -> bytes:
    """Pack serialized values into a list, as version 3 of the protocol and later have it."""
    parts = [len(items).to_bytes(4, 'big')]
    for item in items:
        parts += (len(item).to_bytes(4, 'big'), item)
    return b''.join(parts)


def _value_of(instance: Any, attribute: str) -> Any:
    return instance._values[attribute].value


def get_table(model: Any) -> Table:
    """Return the table of a model, by the driver's copy of the schema, which the driver keeps up to date.

    :raises StorageError: if there is no such table
    """
    cluster = connection.get_session().cluster
    keyspace = model.__keyspace__ or settings.STREAM_DEFAULT_KEYSPACE
    name = model._raw_column_family_name()
    table = _tables.get(model)
    try:
        metadata = cluster.metadata.keyspaces[keyspace].tables[name]
    except KeyError:
        metadata = None
    if table is not None and table.metadata is metadata:
        return table
    if metadata is None or table is None or table.cluster is not cluster:
        # It may have been created or changed just now, before the driver has heard of it.
        metadata = _ask_for(cluster, keyspace, name)
    table = _tables[model] = Table(model, keyspace, metadata, cluster)
    expect_batches(keyspace, name)
    return table


def _ask_for(cluster: Any, keyspace: str, name: str) -> Any:
    """Ask the server for the table as it is now."""
    with translated():
        if keyspace not in cluster.metadata.keyspaces:
            cluster.refresh_keyspace_metadata(keyspace, max_schema_agreement_wait=0)
        if keyspace not in cluster.metadata.keyspaces:
            raise refused(f'keyspace {keyspace} does not exist')
        cluster.refresh_table_metadata(keyspace, name, max_schema_agreement_wait=0)
        metadata = cluster.metadata.keyspaces[keyspace].tables.get(name)
    if metadata is None:
        raise refused(f'table {keyspace}.{name} does not exist')
    return metadata


@functools.cache
def get_model(base_model: Any, column_family_name: str) -> Any:
    """Return a model of one table: the base model with the table's name. Made once."""
    camel_case = ''.join(part.capitalize() for part in column_family_name.split('_'))
    # A model that is derived from cqlengine's own uses the connection and the keyspace of feeds as well.
    bases = (base_model,) if issubclass(base_model, FeedModel) else (FeedModel, base_model)
    connection_name = base_model.__connection__ or NAME
    namespace = {
        '__table_name__': column_family_name,
        '__connection__': connection_name,
        # A model that was used keeps its table's name here, and derived models would inherit that.
        '_table_name': None,
    }
    return type(f'{camel_case}FeedModel', bases, namespace)
