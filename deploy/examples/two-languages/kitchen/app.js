// The kitchen: prepares what the counter asks for, and publishes when it is ready.
//
// Node's own modules only. Started by `ottavo run --app-port PORT -- node app.js` in this folder: its app id is `kitchen`.
const http = require("node:http");

const sidecar = `http://127.0.0.1:${process.env.DAPR_HTTP_PORT}/v1.0`;

async function prepare(order) {
  const answer = await fetch(`${sidecar}/publish/pubsub/ready`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...order, cook: "node" }),
  });
  if (!answer.ok) throw new Error(`publishing failed: ${answer.status} ${await answer.text()}`);
  console.log(`order ${order.id}: prepared`);
}

http
  .createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const reply = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.method === "POST" && request.url === "/prepare") {
      const order = JSON.parse(Buffer.concat(chunks));
      reply(202, { accepted: order.id });
      prepare(order).catch((error) => console.error(error.message));
    } else {
      reply(404, { error: "no such path" });
    }
  })
  .listen(Number(process.env.APP_PORT), "127.0.0.1");
