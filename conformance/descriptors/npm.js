'use strict';

// Flattens the .proto files of the npm package @dapr/dapr; ../../proto-dapr/src/flatten.rs describes the lines.
// Usage: node npm.js FOLDER_OF_NODE_MODULES

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

const modules = path.resolve(process.argv[2]);
const protobuf = createRequire(path.join(modules, 'package.json'))('protobufjs');
const base = path.join(modules, '@dapr', 'dapr', 'proto');

const lines = [];

function nameOf(object) {
  return object.fullName.replace(/^\./, '');
}

// protobufjs keeps a resolved object for messages and enums, and a bare word for scalars.
function typeOf(field) {
  return field.resolvedType ? nameOf(field.resolvedType) : field.type;
}

function lowerCamel(name) {
  return name.replace(/_+(.)?/g, (_, letter) => (letter || '').toUpperCase());
}

function flattenField(message, field) {
  const explicit = Boolean(field.options && field.options.proto3_optional);
  let label = field.repeated ? 'repeated' : explicit ? 'optional' : 'singular';
  let type = typeOf(field);
  if (field.map) {
    label = 'map';
    type = `${field.keyType},${type}`;
  }
  const oneof = field.partOf && !explicit ? field.partOf.name : '-';
  const json = (field.options && field.options.json_name) || lowerCamel(field.name);
  lines.push(`field ${nameOf(message)}.${field.name} ${field.id} ${label} ${type} ${oneof} ${json}`);
}

function flattenMethod(service, method) {
  const input = (method.requestStream ? 'stream ' : '') + nameOf(method.resolvedRequestType);
  const output = (method.responseStream ? 'stream ' : '') + nameOf(method.resolvedResponseType);
  lines.push(`rpc ${nameOf(service)}/${method.name} ${input} -> ${output}`);
}

function flatten(namespace) {
  for (const item of namespace.nestedArray) {
    if (item.fullName.startsWith('.google.protobuf')) continue;
    if (item instanceof protobuf.Type) {
      lines.push(`message ${nameOf(item)}`);
      item.fieldsArray.forEach((field) => flattenField(item, field));
      flatten(item);
    } else if (item instanceof protobuf.Enum) {
      Object.entries(item.values).forEach(([value, number]) => lines.push(`enum ${nameOf(item)}.${value} ${number}`));
    } else if (item instanceof protobuf.Service) {
      item.methodsArray.forEach((method) => flattenMethod(item, method.resolve()));
    } else if (item instanceof protobuf.Namespace) {
      flatten(item);
    }
  }
}

const root = new protobuf.Root();
root.resolvePath = (_, target) => path.resolve(base, target);
const files = fs.readdirSync(base, { recursive: true }).filter((file) => file.endsWith('.proto'));
root.loadSync(files.sort(), { keepCase: true });
root.resolveAll();
flatten(root);
process.stdout.write(lines.sort().join('\n') + '\n');
