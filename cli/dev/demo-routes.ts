/** What the demo adds to the service's port: its page, a development token (O-107, O-108), and its upload endpoint. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { jwtVerify, SignJWT } from 'jose';
import type { Pool } from 'pg';
import type { PageFile, PageFiles } from '#api-worker/inspector/bundle-page.ts';
import { DEVELOPMENT_TOKEN_LIFETIME_SECONDS } from '#core/platform/limits.ts';
import { applyUpload, UploadRefused, type UploadedOperation } from '../../demo/backend.ts';

const USER = /^[\w.-]{1,64}$/;

export interface DemoOptions {
  readonly files: PageFiles;
  readonly pool: Pool;
  readonly secret: Buffer;
  readonly audience: string;
  readonly psql: string;
  progress(): { readonly ready: boolean; readonly message: string };
}

export function demoRoutes(options: DemoOptions): (server: FastifyInstance) => void {
  const { files, pool, secret, audience } = options;
  return (server) => {
    server.get('/', (_request, reply) => reply.redirect('/demo'));
    server.get('/demo', (_request, reply) => sendFile(reply, files.get('index.html')));
    server.get('/demo/status', (_request, reply) =>
      reply.header('cache-control', 'no-store').send({ ...options.progress(), psql: options.psql }),
    );
    server.get<{ Querystring: { user?: string } }>('/demo/token', async (request, reply) => {
      const user = request.query.user ?? '';
      if (!USER.test(user)) return reply.code(400).send({ error: 'Give a user name: /demo/token?user=alice' });
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: 'HS256', kid: 'dev' })
        .setSubject(user)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(`${DEVELOPMENT_TOKEN_LIFETIME_SECONDS}s`)
        .sign(secret);
      return reply.header('cache-control', 'no-store').send({ token });
    });
    server.post<{ Body: { operations: UploadedOperation[] } }>('/demo/upload', async (request, reply) => {
      const user = await userOf(request.headers.authorization, secret, audience);
      if (user === null) return reply.code(401).send({ error: 'A token of the demo is needed.' });
      try {
        await applyUpload(pool, user, request.body.operations);
        return await reply.send({ ok: true });
      } catch (error) {
        // What the backend refuses for good must not block the device's upload queue: it is dropped, and the server's state comes back.
        if (error instanceof UploadRefused) return reply.code(200).send({ ok: false, refused: error.message });
        throw error;
      }
    });
    server.get<{ Params: { '*': string } }>('/demo/*', (request, reply) =>
      sendFile(reply, files.get(request.params['*'])),
    );
  };
}

function sendFile(reply: FastifyReply, file: PageFile | undefined): FastifyReply {
  if (!file) return reply.code(404).send({ error: 'Not part of the demo.' });
  return reply.header('content-type', file.type).header('cache-control', 'no-cache').send(file.body);
}

async function userOf(header: string | undefined, secret: Buffer, audience: string): Promise<string | null> {
  const token = /^(?:Token|Bearer) (.+)$/.exec(header ?? '')?.[1];
  if (token === undefined) return null;
  try {
    const { payload } = await jwtVerify(token, secret, { audience, algorithms: ['HS256'] });
    return payload.sub ?? null;
  } catch {
    return null;
  }
}
