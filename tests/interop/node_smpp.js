// node-smpp as a client: node_smpp.js HOST PORT INTERFACE_VERSION < the texts to send, as JSON
//
// Binds, sends each text, waits for as many receipts as it sent parts, queries every id and one that does not exist,
// asks whether the link is alive, unbinds; and prints what it was answered, as JSON. NODE_PATH says where smpp is.
'use strict';
const smpp = require('smpp');

const [host, port, interfaceVersion] = process.argv.slice(2);
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const told = {submits: [], receipts: [], queries: []};
const session = smpp.connect({host, port: Number(port)});
let heard = () => {};

setTimeout(() => { throw new Error('it takes too long'); }, 60000).unref();
session.on('error', (error) => { throw error; });
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('deliver_sm', (pdu) => {
  told.receipts.push({
    text: pdu.short_message.message,
    esm_class: pdu.esm_class,
    source: pdu.source_addr,
    id: pdu.receipted_message_id,
    state: pdu.message_state,
  });
  session.send(pdu.response());
  heard();
});

// Sends a request and gives its response.
const ask = (command, fields = {}) => new Promise((resolve) => session[command](fields, resolve));

// The short_message, or the message_payload, of each PDU that a text takes; a string is encoded by the library.
function bodies(text, reference) {
  if (text.payload) {
    return [{short_message: '', message_payload: text.text}];
  }
  const isAscii = /^[\x00-\x7f]*$/.test(text.text);
  const [whole, size] = isAscii ? [160, 153] : [70, 67];
  if (text.text.length <= whole) {
    return [{short_message: text.text}];
  }
  const total = Math.ceil(text.text.length / size);
  return Array.from({length: total}, (_, index) => ({
    short_message: {
      udh: Buffer.from([5, 0, 3, reference, total, index + 1]),
      message: text.text.slice(index * size, (index + 1) * size),
    },
  }));
}

async function run() {
  const bound = await ask('bind_transceiver', {
    system_id: 'acme', password: 'secret', interface_version: Number(interfaceVersion),
  });
  told.bind = {
    status: bound.command_status, system_id: bound.system_id, sc_interface_version: bound.sc_interface_version,
  };
  let reference = 17;
  for (const text of texts) {
    reference += 1;
    for (const body of bodies(text, reference)) {
      const answer = await ask('submit_sm', {
        source_addr_ton: 5, source_addr: 'ACME', dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: text.to,
        registered_delivery: 1, ...body,
      });
      told.submits.push({name: text.name, status: answer.command_status, id: answer.message_id});
    }
  }
  const sent = told.submits.filter((each) => each.status === 0).length;
  while (told.receipts.length < sent) {
    await new Promise((resolve) => { heard = resolve; });
  }
  for (const id of [...told.submits.map((each) => each.id), '9999999']) {
    const {command_status: status, message_id, final_date, message_state, error_code} = await ask('query_sm', {
      message_id: id, source_addr_ton: 5, source_addr: 'ACME',
    });
    told.queries.push({
      asked: id, status, message_id, message_state, error_code, final_date: final_date ? String(final_date) : '',
    });
  }
  told.enquire_link = (await ask('enquire_link')).command_status;
  told.unbind = (await ask('unbind')).command_status;
  console.log(JSON.stringify(told));
  session.close();
}

run();
