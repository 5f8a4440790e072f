"""State: get, save, delete, bulk, transactions, entity tags and time to live."""

import asyncio
import json

import grpc
from dapr.aio.clients import DaprClient as AsyncDaprClient
from dapr.clients.exceptions import DaprGrpcError
from dapr.clients.grpc._request import TransactionalStateOperation, TransactionOperationType
from dapr.clients.grpc._state import Concurrency, StateItem, StateOptions

from facts import equal, error, holds, wait_for

STORE = 'statestore'


def prove(dapr):
    values(dapr)
    entity_tags(dapr)
    first_write(dapr)
    many(dapr)
    time_to_live(dapr)
    asyncio.run(asynchronous())


def values(dapr):
    order = {'id': 7, 'lines': ['é', None, 1.5]}
    dapr.save_state(STORE, 'json', json.dumps(order))
    read = dapr.get_state(STORE, 'json')
    equal('state: json comes back', read.json(), order)
    holds('state: get has an etag', read.etag != '')
    dapr.save_state(STORE, 'bytes', b'\x00\xff\x80')
    equal('state: bytes come back', dapr.get_state(STORE, 'bytes').data, b'\x00\xff\x80')
    missing = dapr.get_state(STORE, 'never saved')
    equal('state: a missing key is empty', (missing.data, missing.etag), (b'', ''))
    refused = error(DaprGrpcError, lambda: dapr.get_state('nostore', 'key'))
    equal('state: an unknown store is an error', refused.code(), grpc.StatusCode.INVALID_ARGUMENT)
    equal(
        'state: an error carries its reason',
        refused.status_details().error_info['reason'],
        'DAPR_STATE_NOT_FOUND',
    )


def entity_tags(dapr):
    dapr.save_state(STORE, 'tagged', 'one')
    stale = dapr.get_state(STORE, 'tagged').etag
    dapr.save_state(STORE, 'tagged', 'two', etag=stale)
    equal('state: right etag saves', dapr.get_state(STORE, 'tagged').text(), 'two')
    conflict = error(DaprGrpcError, lambda: dapr.save_state(STORE, 'tagged', 'three', etag=stale))
    equal('state: stale etag conflicts', conflict.code(), grpc.StatusCode.ABORTED)
    conflict = error(DaprGrpcError, lambda: dapr.delete_state(STORE, 'tagged', etag=stale))
    equal('state: delete with a stale etag conflicts', conflict.code(), grpc.StatusCode.ABORTED)
    equal('state: a conflict leaves the value', dapr.get_state(STORE, 'tagged').text(), 'two')
    dapr.delete_state(STORE, 'tagged', etag=dapr.get_state(STORE, 'tagged').etag)
    equal('state: right etag deletes', dapr.get_state(STORE, 'tagged').data, b'')


def first_write(dapr):
    first = StateOptions(concurrency=Concurrency.first_write)
    dapr.save_state(STORE, 'first', 'one', options=first)
    conflict = error(DaprGrpcError, lambda: dapr.save_state(STORE, 'first', 'two', options=first))
    equal('state: first write wins', conflict.code(), grpc.StatusCode.ABORTED)


def many(dapr):
    dapr.save_bulk_state(STORE, [StateItem('bulk-1', 'one'), StateItem('bulk-2', b'two')])
    items = dapr.get_bulk_state(STORE, ['bulk-1', 'bulk-2', 'bulk-3'], parallelism=2).items
    equal(
        'state: bulk save and bulk get',
        {item.key: item.data for item in items},
        {'bulk-1': b'one', 'bulk-2': b'two', 'bulk-3': b''},
    )
    holds('state: bulk get has etags', all(item.etag for item in items if item.data))
    dapr.execute_state_transaction(
        STORE,
        [
            TransactionalStateOperation('bulk-3', 'three'),
            TransactionalStateOperation('bulk-1', operation_type=TransactionOperationType.delete),
        ],
    )
    items = dapr.get_bulk_state(STORE, ['bulk-1', 'bulk-3']).items
    equal(
        'state: transaction upserts and deletes',
        {item.key: item.data for item in items},
        {'bulk-1': b'', 'bulk-3': b'three'},
    )
    conflict = error(
        DaprGrpcError,
        lambda: dapr.execute_state_transaction(
            STORE,
            [
                TransactionalStateOperation('bulk-2', 'changed'),
                TransactionalStateOperation('bulk-3', 'changed', etag='stale'),
            ],
        ),
    )
    holds('state: transaction with a stale etag fails', conflict.code() != grpc.StatusCode.OK)
    equal('state: a failed transaction changes nothing', dapr.get_state(STORE, 'bulk-2').data, b'two')


def time_to_live(dapr):
    dapr.save_state(STORE, 'short', 'lived', state_metadata={'ttlInSeconds': '1'})
    equal('state: a value with a ttl is there', dapr.get_state(STORE, 'short').data, b'lived')
    wait_for('end of a value', lambda: dapr.get_state(STORE, 'short').data == b'')
    holds('state: a ttl ends a value', True)


async def asynchronous():
    async with AsyncDaprClient() as dapr:
        await dapr.save_state(STORE, 'async', 'value')
        equal('state: the asyncio client reads what it saved', (await dapr.get_state(STORE, 'async')).text(), 'value')
