// Where a Worker's processor time goes, as V8's profiler sees it over workerd's inspector.

const SAMPLING_US = 200;

/** Profiles what happens while `work()` runs; answers V8's profile. The Worker was started with an `inspectorPort`. */
export async function profile(worker, work) {
  const url = await worker.miniflare.getInspectorURL();
  const list = new URL("/json", url);
  list.protocol = "http:";
  const targets = await (await fetch(list)).json();
  const target = targets.find(({ id, title }) => /user|worker|keepalive/i.test(`${id} ${title}`)) ?? targets[0];
  const socket = await open(target.webSocketDebuggerUrl);
  try {
    await socket.send("Profiler.enable");
    await socket.send("Profiler.setSamplingInterval", { interval: SAMPLING_US });
    await socket.send("Profiler.start");
    await work();
    const { profile: taken } = await socket.send("Profiler.stop");
    return taken;
  } finally {
    socket.close();
  }
}

async function open(address) {
  const socket = new WebSocket(address);
  const waiting = new Map();
  socket.addEventListener("message", ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error) asked?.reject(new Error(`the inspector: ${error.message}`));
    else asked?.resolve(result);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", () => reject(new Error("the inspector can't be reached")), { once: true });
  });
  let count = 0;
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      count += 1;
      waiting.set(count, { resolve, reject });
      socket.send(JSON.stringify({ id: count, method, params }));
    });
  return { send, close: () => socket.close() };
}

/** Milliseconds of each function itself, the most first: `[{ name, url, ms }]`. */
export function selfTimes({ nodes, samples, timeDeltas }) {
  const functions = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map();
  for (const [index, id] of samples.entries()) {
    const { functionName, url } = functions.get(id);
    const key = `${functionName} ${url}`;
    const before = times.get(key) ?? { name: functionName || "(anonymous)", url, ms: 0 };
    before.ms += timeDeltas[index] / 1000;
    times.set(key, before);
  }
  return [...times.values()].sort((a, b) => b.ms - a.ms);
}
