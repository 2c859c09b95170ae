'use strict';
// Steps on sessions: a broken connection, watches after it, expiry.

const { Events, ROOT, check, refused, wait, withinTimeout, zookeeper } = require('./harness');

const { ACL, CreateMode, Exception } = zookeeper;

async function same_session_after_loss(bench) {
  const path = `${ROOT}/after-loss`;
  const [client, other] = [await bench.client('n-loss'), await bench.client()];
  const session = client.session();
  client.raw.addAuthInfo('digest', Buffer.from('ann:pass'));
  await client.create(path, '', CreateMode.EPHEMERAL, ACL.CREATOR_ALL_ACL);
  await refused('even exists needs the right to read', Exception.NO_AUTH, other.exists(path));
  other.raw.addAuthInfo('digest', Buffer.from('ann:pass'));
  for (let turn = 2; turn <= 4; turn += 1) {
    await bench.proxy('drop', 'n-loss');
    await wait('back', () => client.count('SYNC_CONNECTED') === turn);
    check('session', client.session(), session);
  }
  check('the ephemeral is still there', (await other.exists(path)).ephemeralOwner.toString('hex'), session);
  check('never expired', client.count('EXPIRED'), 0);
  check('requests go on, with auth given again', (await client.set(path, 'on')).version, 1);
}

async function watches_after_loss(bench) {
  const path = `${ROOT}/watches-after-loss`;
  const [client, other, events] = [await bench.client('n-watch'), await bench.client(), new Events()];
  await other.create(path);
  for (const name of ['changed', 'gone', 'parent', 'quiet']) await other.create(`${path}/${name}`, '1');
  await client.call('getData', `${path}/changed`, events.watcher());
  await client.exists(`${path}/gone`, events.watcher());
  await client.exists(`${path}/born`, events.watcher());
  await client.children(`${path}/parent`, events.watcher());
  await client.call('getData', `${path}/quiet`, events.watcher());
  await bench.proxy('cut', 'n-watch');
  await wait('lost', () => client.count('DISCONNECTED') > 0);
  await other.set(`${path}/changed`, '2');
  await other.remove(`${path}/gone`);
  await other.create(`${path}/born`);
  await other.create(`${path}/parent/child`);
  check('nothing comes over a cut link', events.length, 0);
  await bench.proxy('heal', 'n-watch');
  await wait('back', () => client.count('SYNC_CONNECTED') === 2);
  await wait('four events', () => events.length >= 4);
  const wanted = [
    ['NODE_CHILDREN_CHANGED', 'parent'], ['NODE_CREATED', 'born'], ['NODE_DATA_CHANGED', 'changed'], ['NODE_DELETED', 'gone'],
  ];
  check('events missed meanwhile', Array.from(events).sort(), wanted.map(([kind, name]) => [kind, `${path}/${name}`]));
  await other.set(`${path}/quiet`, '2');
  await wait('the watch that had nothing to tell is still set', () => events.length === 5);
  check('its event', events[4], ['NODE_DATA_CHANGED', `${path}/quiet`]);
}

async function expired_when_cut_long(bench) {
  const path = `${ROOT}/expired`;
  const [client, other, events] = [await bench.client('n-expire'), await bench.client(), new Events()];
  const session = client.session();
  await client.create(path, '', CreateMode.EPHEMERAL);
  await other.exists(path, events.watcher());
  const began = Date.now();
  await bench.proxy('freeze', 'n-expire');
  await events.expect('the ephemeral goes', ['NODE_DELETED', path]);
  withinTimeout('expiry', Date.now() - began);
  await bench.proxy('heal', 'n-expire');
  await wait('told for certain', () => client.count('EXPIRED') === 1);
  // The client closes its socket before it refuses, so that it may name either.
  await refused('a write in the old session', Exception.CONNECTION_LOSS, client.set(path, 'late').catch((error) => {
    throw error.code === Exception.SESSION_EXPIRED ? Object.assign(error, { code: Exception.CONNECTION_LOSS }) : error;
  }));
  const fresh = await bench.client('n-expire');
  check('another session', fresh.session() !== session, true);
  check('it sees the ephemeral gone', await fresh.exists(path), null);
}

module.exports = [same_session_after_loss, watches_after_loss, expired_when_cut_long];
