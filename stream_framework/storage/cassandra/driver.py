"""What is used of cassandra-driver, beyond connecting: importing this says what to install where it isn't there."""

from stream_framework.storage.cassandra import config

config.require_driver()

from cassandra import (  # noqa: E402
    ConsistencyLevel,
    InvalidRequest,
    OperationTimedOut,
    ReadTimeout,
    WriteFailure,
    WriteTimeout,
)
from cassandra.cqlengine import ValidationError, columns  # noqa: E402
from cassandra.cqlengine.models import Model  # noqa: E402
from cassandra.cqltypes import IntegerType  # noqa: E402
from cassandra.query import (  # noqa: E402
    BatchStatement,
    BatchType,
    BoundStatement,
    SimpleStatement,
)

__all__ = [
    'BatchStatement',
    'BatchType',
    'BoundStatement',
    'ConsistencyLevel',
    'IntegerType',
    'InvalidRequest',
    'Model',
    'OperationTimedOut',
    'ReadTimeout',
    'SimpleStatement',
    'ValidationError',
    'WriteFailure',
    'WriteTimeout',
    'columns',
]
