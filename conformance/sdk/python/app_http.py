"""The application over HTTP: FastAPI with dapr.ext.fastapi."""

import threading

import uvicorn
from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI, Request, Response

PUBSUB = 'pubsub'


def start(port, inbox):
    """Serves on `port` in the background."""
    app = FastAPI()
    methods(app)
    topics(app, DaprApp(app), inbox)
    server = uvicorn.Server(uvicorn.Config(app, host='127.0.0.1', port=port, log_level='warning'))
    threading.Thread(target=server.run, daemon=True).start()


def methods(app):
    @app.api_route('/echo', methods=['GET', 'POST', 'PUT'])
    async def echo(request: Request):
        body = await request.body()
        return {
            'verb': request.method,
            'query': request.query_params.multi_items(),
            'header': request.headers.get('x-order'),
            'body': body.decode(),
        }

    @app.post('/teapot')
    async def teapot():
        return Response('short and stout', status_code=418, media_type='text/plain', headers={'x-spout': 'here'})


def topics(app, dapr_app, inbox):
    @dapr_app.subscribe(pubsub=PUBSUB, topic='programmatic')
    async def programmatic(request: Request):
        inbox.put('programmatic', await request.json())
        return {'status': 'SUCCESS'}

    @dapr_app.subscribe(pubsub=PUBSUB, topic='retried')
    async def retried(request: Request):
        return {'status': 'RETRY' if inbox.put('retried', await request.json()) == 1 else 'SUCCESS'}

    @dapr_app.subscribe(pubsub=PUBSUB, topic='refused', dead_letter_topic='dead')
    async def refused(request: Request):
        inbox.put('refused', await request.json())
        return {'status': 'RETRY'}

    @dapr_app.subscribe(pubsub=PUBSUB, topic='dropped', dead_letter_topic='dead')
    async def dropped(request: Request):
        inbox.put('dropped', await request.json())
        return {'status': 'DROP'}

    @dapr_app.subscribe(pubsub=PUBSUB, topic='dead')
    async def dead(request: Request):
        inbox.put('dead', await request.json())

    @dapr_app.subscribe(pubsub=PUBSUB, topic='raw', metadata={'rawPayload': 'true'})
    async def raw(request: Request):
        inbox.put('raw', await request.json())

    @dapr_app.subscribe(pubsub=PUBSUB, topic='bulk')
    async def bulk(request: Request):
        inbox.put('bulk', await request.json())

    # The route of resources/subscriptions.yaml.
    @app.post('/declared')
    async def declared(request: Request):
        inbox.put('declared', await request.json())
