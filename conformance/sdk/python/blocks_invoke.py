"""Invocation of this program through its own sidecar, and proxying of its own gRPC service."""

import json

import grpc
from dapr.clients.exceptions import DaprGrpcError, DaprHttpError
from dapr.clients.grpc.client import DaprGrpcClient
from dapr.clients.grpc.interceptors import DaprClientInterceptor
from google.protobuf.wrappers_pb2 import StringValue

from app_grpc import SERVICE
from facts import equal, error


def prove_http(dapr, app_id):
    """With an application over HTTP."""
    answer = dapr.invoke_method(
        app_id,
        'echo',
        json.dumps({'order': 1}),
        content_type='application/json',
        http_verb='PUT',
        http_querystring=(('a', 'b c'), ('a', 'é&=')),
        metadata=(('x-order', '42'),),
    )
    echo = answer.json()
    equal('invoke: body and verb arrive', (echo['verb'], json.loads(echo['body'])), ('PUT', {'order': 1}))
    equal('invoke: query string arrives', echo['query'], [['a', 'b c'], ['a', 'é&=']])
    equal('invoke: metadata arrives', echo['header'], '42')
    equal('invoke: status and content type come back', (answer.status_code, answer.content_type), (200, 'application/json'))
    failed = error(DaprHttpError, lambda: dapr.invoke_method(app_id, 'teapot', b'', http_verb='POST'))
    equal(
        "invoke: the application's error status comes back",
        (failed.status_code, failed.raw_response_bytes),
        (418, b'short and stout'),
    )
    missing = error(DaprHttpError, lambda: dapr.invoke_method(app_id, 'no/such/method', b'', http_verb='GET'))
    equal('invoke: a missing method is 404', missing.status_code, 404)
    over_grpc = DaprGrpcClient()
    answer = over_grpc.invoke_method(
        app_id, 'echo', b'over gRPC', http_verb='POST', http_querystring=(('q', '1'),), content_type='text/plain'
    )
    equal('invoke: InvokeService reaches an HTTP application', (answer.json()['body'], answer.json()['query']), ('over gRPC', [['q', '1']]))
    failed = error(grpc.RpcError, lambda: over_grpc.invoke_method(app_id, 'teapot', b'', http_verb='POST'))
    about = DaprGrpcError(failed).status_details().error_info['metadata']
    equal(
        "invoke: InvokeService's error holds the HTTP status and body",
        (about.get('http.code'), about.get('http.error_message')),
        ('418', 'short and stout'),
    )
    over_grpc.close()


def prove_grpc(dapr, app_id, address):
    """With an application over gRPC."""
    over_grpc = DaprGrpcClient()
    answer = over_grpc.invoke_method(app_id, 'echo', b'text', content_type='text/plain', metadata=(('x-order', '42'),))
    equal('invoke: body and metadata arrive', answer.json(), {'body': 'text', 'header': '42'})
    equal('invoke: content type comes back', answer.content_type, 'application/json')
    failed = error(grpc.RpcError, lambda: over_grpc.invoke_method(app_id, 'failing', b''))
    equal("invoke: the application's error comes back", (failed.code(), 'short and stout' in failed.details()), (grpc.StatusCode.UNKNOWN, True))
    over_grpc.close()
    answer = dapr.invoke_method(app_id, 'echo', b'over HTTP', http_verb='POST', content_type='text/plain')
    equal('invoke: HTTP reaches a gRPC application', answer.json()['body'], 'over HTTP')
    proxied(app_id, address)


def proxied(app_id, address):
    channel = grpc.intercept_channel(grpc.insecure_channel(address), DaprClientInterceptor([('dapr-app-id', app_id)]))
    codec = {'request_serializer': StringValue.SerializeToString, 'response_deserializer': StringValue.FromString}
    greet = channel.unary_unary(f'/{SERVICE}/Greet', **codec)
    answer, call = greet.with_call(StringValue(value='Ada'), metadata=(('x-order', '42'),))
    equal('proxy: a call of an own service', answer.value, 'hello Ada, order 42')
    equal('proxy: metadata comes back', dict(call.initial_metadata()).get('x-spout'), 'here')
    failed = error(grpc.RpcError, lambda: greet(StringValue()))
    equal("proxy: the service's error comes back", (failed.code(), failed.details()), (grpc.StatusCode.OUT_OF_RANGE, 'who?'))
    # The SDK's interceptor is for single answers only.
    count = channel.unary_stream(f'/{SERVICE}/Count', **codec)
    numbers = count(StringValue(value='3'), metadata=(('dapr-app-id', app_id),))
    equal('proxy: a stream of answers', [number.value for number in numbers], ['0', '1', '2'])
    stranger = grpc.insecure_channel(address)
    failed = error(grpc.RpcError, lambda: stranger.unary_unary(f'/{SERVICE}/Greet', **codec)(StringValue(value='Ada')))
    equal(
        'proxy: a call without an app id is an error',
        (failed.code(), 'dapr-callee-app-id or dapr-app-id' in failed.details()),
        (grpc.StatusCode.UNKNOWN, True),
    )
