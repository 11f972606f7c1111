'use strict';

// A tutorial's server for Plivo's delivery reports, as its reader would write it: Fastify with its
// logger, the form parser, and the signature check of Plivo's own SDK. What becomes of an update is
// the variant's matter: log.js, sqlite.js, postgres.js.
//
// Two things are mended, as no genuine callback would be answered with 200 else, or a lost one
// would: the V3 signature covers the form too, so the SDK's check is given the form; and an update
// that cannot be stored is answered with 500, not with 200.

const Fastify = require('fastify');
const formbody = require('@fastify/formbody');
const plivo = require('plivo');

const { PUBLIC_URL, PLIVO_AUTH_TOKEN, PORT } = process.env;

function isGenuine(request) {
  const nonce = request.headers['x-plivo-signature-v3-nonce'];
  const signature = request.headers['x-plivo-signature-v3'];
  if (!nonce || !signature) return false;
  const url = PUBLIC_URL + request.url;
  return plivo.validateV3Signature('POST', url, nonce, PLIVO_AUTH_TOKEN, signature, request.body);
}

/**
 * Serves on loopback until the process is ended.
 *
 * @param {(update: object) => (Promise<void>|void)} record keeps one update, or throws
 * @param {() => (Promise<void>|void)} close is called once no request is on its way any more
 */
async function serve(record, close = () => {}) {
  const app = Fastify({ logger: true });
  app.register(formbody);
  app.addHook('onClose', close);

  async function onStatus(request, reply) {
    if (!isGenuine(request)) {
      request.log.warn('invalid signature');
      return reply.code(403).send('invalid signature');
    }
    const update = request.body;
    await record(update);
    const { MessageUUID, Status, ErrorCode } = update;
    request.log.info({ MessageUUID, Status, ErrorCode }, 'status update');
    return reply.code(200).send('ok');
  }
  app.post('/plivo/status', onStatus);
  app.post('/plivo/:ref/status', onStatus);

  process.on('SIGTERM', () => app.close().then(() => process.exit(0)));
  await app.listen({ port: Number(PORT), host: '127.0.0.1' });
}

module.exports = { serve };
