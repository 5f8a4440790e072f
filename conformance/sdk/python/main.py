"""Proves, as one application and its client, that the unmodified Python SDK works with a sidecar.

Reads what `dapr run` gives an application: APP_ID, APP_PORT, APP_PROTOCOL (http or grpc), DAPR_HTTP_PORT and DAPR_GRPC_PORT.
"""

import os
import traceback
import urllib.request
import warnings

import app_grpc
import app_http
import blocks_invoke
import blocks_pubsub
import blocks_rest
import blocks_state
import facts
from dapr.clients import DaprClient
from inbox import Inbox


def main():
    app_id, protocol = os.environ['APP_ID'], os.environ['APP_PROTOCOL']
    address = f'127.0.0.1:{os.environ["DAPR_GRPC_PORT"]}'
    inbox = Inbox()
    {'http': app_http, 'grpc': app_grpc}[protocol].start(int(os.environ['APP_PORT']), inbox)
    with DaprClient() as dapr:
        facts.wait_for('sidecar that has found this application', ready)
        blocks_rest.prove_health(dapr)
        blocks_rest.prove_metadata(dapr, app_id)
        blocks_rest.prove_secrets(dapr)
        blocks_state.prove(dapr)
        if protocol == 'http':
            blocks_invoke.prove_http(dapr, app_id)
        else:
            blocks_invoke.prove_grpc(dapr, app_id, address)
        blocks_pubsub.prove(dapr, inbox, protocol, app_id)
        blocks_rest.prove_shutdown(dapr)


def ready():
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{os.environ["DAPR_HTTP_PORT"]}/v1.0/healthz') as answer:
            return answer.status == 204
    except OSError:
        return False


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    try:
        main()
    except BaseException as wrong:
        if not isinstance(wrong, facts.NotAFact):
            traceback.print_exc()
        print(f'NOT PROVEN {wrong}', flush=True)
        # Servers and streams of the application would keep it alive.
        os._exit(1)
    print(f'all {facts.total()} facts hold', flush=True)
    os._exit(0)
