// Makes one call after the other with @crystallize/node-klarna: JSON lines in, JSON lines out.
// Arguments: host, port, user name and password of the sandbox.
"use strict";

const http = require("http");
const https = require("https");
const readline = require("readline");

const [host, port, username, password] = process.argv.slice(2);

// The client knows TLS and port 443 only. Everything above that stays its own.
https.request = (options, answered) => http.request({ ...options, port }, answered);

const { Klarna } = require("@crystallize/node-klarna");
const { orderManagementV1 } = new Klarna({ username, password, apiEndpoint: host });

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { part, call, args } = JSON.parse(line);
    const answer = await orderManagementV1[part][call](...args);
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
})();
