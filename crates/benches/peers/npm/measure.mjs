// Measures the npm originals, as `benches` asks by lines of JSON. One process, as Node is used.
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { createInterface } from 'node:readline';

// @lti-tool/core imports without the end of a name or its type, as bundlers allow. @engjts/auth is not published; this
// is what the adapter takes from it.
const auth = `
import { randomBytes } from 'node:crypto';
export const generateStateProof = () => 'sp_' + randomBytes(48).toString('base64url');
export class BaseSessionStore {
  validateStateProofLogic(session, proof) {
    return { valid: session.currentStateProof === proof, session };
  }
}`;
register('data:text/javascript,' + encodeURIComponent(`
  export async function resolve(name, context, next) {
    if (name === '@engjts/auth/adapter') {
      return { url: 'data:text/javascript,' + ${JSON.stringify(encodeURIComponent(auth))}, shortCircuit: true };
    }
    try {
      return await next(name, context);
    } catch (error) {
      if (!name.startsWith('.')) throw error;
      return next(name + '.js', context).catch(() => next(name + '/index.js', context));
    }
  }
  export async function load(url, context, next) {
    const json = url.endsWith('.json') ? { importAttributes: { type: 'json' } } : {};
    return next(url, { ...context, ...json });
  }`));

const [backend, place, count] = process.argv.slice(2);
const rows = Number(count);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const name = 'npm originals';

if (backend !== 'mysql' && backend !== 'mariadb') {
  say({ name, absent: 'of the npm originals only @lti-tool/mysql and @engjts/mysql-adapter can be had' });
  process.exit(0);
}

const mysql = (await import('mysql2/promise')).default;
const { MySqlStorage } = await import('@lti-tool/mysql');
const { MySQLSessionStore } = await import('@engjts/mysql-adapter');

const admin = await mysql.createConnection(process.env.BENCH_URL);
await admin.query(`CREATE DATABASE ${place}`);
await admin.query(`USE ${place}`);
const url = new URL(process.env.BENCH_URL);
url.pathname = `/${place}`;
url.search = '';

for (const file of ['0000_careless_vermin', '0001_issued_nonce_used_at']) {
  const sql = readFileSync(`node_modules/@lti-tool/mysql/drizzle/${file}.sql`, 'utf8');
  for (const statement of sql.split('--> statement-breakpoint')) await admin.query(statement);
}
const lti = new MySqlStorage({ connectionUrl: url.href });
const pool = mysql.createPool({ uri: url.href, timezone: 'Z', connectionLimit: 10 });
const jts = new MySQLSessionStore({ pool });
await jts.initialize();

// Loading: in bulk, by JSON_TABLE.
const session = JSON.parse(process.env.BENCH_LTI);
const ids = Array.from({ length: rows }, () => randomUUID());
const proof = () => `sp_${randomBytes(48).toString('base64url')}`;
const anchors = Array.from({ length: rows }, (_, n) => (
  { a: `aid_${randomBytes(24).toString('base64url')}`, u: `user-${n}@maplegrove.example`, p: proof() }
));
const later = new Date(Date.now() + 86_400_000).toISOString().slice(0, 19).replace('T', ' ');
for (let from = 0; from < rows; from += 2_000) {
  await admin.query(
    `INSERT INTO sessions (id, data, expiresAt) SELECT j.id, ?, ?
     FROM JSON_TABLE(?, '$[*]' COLUMNS (id varchar(36) PATH '$')) j`,
    [JSON.stringify(session), later, JSON.stringify(ids.slice(from, from + 2_000))],
  );
  await admin.query(
    `INSERT INTO jts_sessions (aid, prn, current_state_proof, state_proof_version, created_at, last_active,
       expires_at, device_fingerprint, user_agent, ip_address, metadata)
     SELECT j.a, j.u, j.p, 1, NOW(), NOW(), ?, 'fp-7a31bb0c9e2d4f68', 'Mozilla/5.0', '2001:db8::1', '{"amr":["pwd"]}'
     FROM JSON_TABLE(?, '$[*]' COLUMNS (a varchar(64) PATH '$.a', u varchar(256) PATH '$.u',
       p varchar(256) PATH '$.p')) j`,
    [later, JSON.stringify(anchors.slice(from, from + 2_000))],
  );
}
await admin.query('ANALYZE TABLE sessions, jts_sessions, nonces');

const any = (list) => list[Math.floor(Math.random() * list.length)];
const own = (list, task, tasks) => {
  const each = Math.max(1, Math.floor(list.length / tasks));
  return list[Math.min(list.length - 1, Math.floor(Math.random() * each) * tasks + task)];
};
const there = (found) => {
  if (!found) throw new Error('it is not there');
  return found;
};
const cases = {
  S1: async () => there(await lti.getSession(any(ids))),
  S2: async () => lti.addSession({ ...session, id: randomUUID() }),
  S3: async () => {
    const nonce = randomUUID();
    await lti.storeNonce(nonce, new Date(Date.now() + 600_000));
    there(await lti.validateNonce(nonce));
  },
  S5: async () => there((await jts.getSessionByStateProof(any(anchors).p)).valid),
  S7: async (task, tasks) => jts.touchSession(own(anchors, task, tasks).a),
  'S6-rotate': async (task, tasks) => {
    const anchor = own(anchors, task, tasks);
    anchor.p = (await jts.rotateStateProof(anchor.a)).currentStateProof;
  },
};

async function measure({ case: id, tasks, seconds }) {
  const once = cases[id];
  const latencies = [];
  const cpu = process.cpuUsage();
  const began = performance.now();
  const deadline = began + seconds * 1_000;
  const work = async (task) => {
    let last = performance.now();
    while (last < deadline) {
      await once(task, tasks);
      const done = performance.now();
      latencies.push(done - last);
      last = done;
    }
  };
  await Promise.all(Array.from({ length: tasks }, (_, task) => work(task)));
  const took = (performance.now() - began) / 1_000;
  const spent = process.cpuUsage(cpu);
  const sorted = Float64Array.from(latencies).sort();
  const at = (quantile) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] * 1_000;
  return {
    ops_per_s: sorted.length / took,
    p50_us: at(0.5),
    p99_us: at(0.99),
    client_cpu_us_per_op: (spent.user + spent.system) / sorted.length,
  };
}

say({ name, cases: Object.keys(cases) });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    say(await measure(JSON.parse(line)));
  } catch (error) {
    say({ error: String(error?.message ?? error) });
  }
}
await admin.query(`DROP DATABASE ${place}`);
await admin.end();
await lti.close();
await pool.end();
process.exit(0);
