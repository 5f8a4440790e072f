"""Secrets, metadata, health and the end."""

import grpc
from dapr.clients.health import DaprHealth

from facts import equal, error, holds


def prove_health(dapr):
    DaprHealth.wait_for_sidecar()
    holds('health: wait_for_sidecar', True)
    dapr.wait(5)
    holds('health: wait', True)


def prove_secrets(dapr):
    equal('secrets: get', dapr.get_secret('secretstore', 'greeting').secret, {'greeting': 'good evening'})
    equal(
        'secrets: a nested value has a path',
        dapr.get_secret('secretstore', 'database:user').secret,
        {'database:user': 'ottavo'},
    )
    equal(
        'secrets: bulk get',
        dapr.get_bulk_secret('secretstore').secrets,
        {
            'greeting': {'greeting': 'good evening'},
            'database:user': {'database:user': 'ottavo'},
            'database:password': {'database:password': 'not a real one'},
        },
    )
    missing = error(grpc.RpcError, lambda: dapr.get_secret('secretstore', 'nothing'))
    equal('secrets: a missing secret is an error', missing.code(), grpc.StatusCode.INTERNAL)


def prove_metadata(dapr, app_id):
    metadata = dapr.get_metadata()
    equal('metadata: names the application', metadata.application_id, app_id)
    components = {(component.name, component.type) for component in metadata.registered_components}
    expected = {
        ('statestore', 'state.in-memory'),
        ('pubsub', 'pubsub.in-memory'),
        ('secretstore', 'secretstores.local.file'),
    }
    holds('metadata: lists the components', expected <= components, components)
    state = next(c for c in metadata.registered_components if c.name == 'statestore')
    holds('metadata: says what a component can do', {'ETAG', 'TRANSACTIONAL', 'TTL'} <= set(state.capabilities), state)
    dapr.set_metadata('programmed in', 'Python')
    equal('metadata: set is read back', dapr.get_metadata().extended_metadata.get('programmed in'), 'Python')


def prove_shutdown(dapr):
    dapr.shutdown()
    holds('shutdown: is accepted', True)
