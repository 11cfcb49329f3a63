/** WebSockets: an echo with a heartbeat. The first message tells the release. */

import { Elysia } from "elysia";
import { release } from "./release";

const HEARTBEAT = 10_000;
/** RFC 6455: the server is going away. Clients connect again. */
const GOING_AWAY = 1001;

interface Socket {
  send(message: unknown): unknown;
  close(code: number, reason: string): unknown;
}

export class Sockets {
  private readonly open = new Map<string, Socket>();

  constructor() {
    setInterval(() => {
      for (const socket of this.open.values()) socket.send({ heartbeat: Date.now() });
    }, HEARTBEAT).unref();
  }

  get count(): number {
    return this.open.size;
  }

  readonly routes = () =>
    new Elysia().ws("/ws", {
      open: (socket) => {
        this.open.set(socket.id, socket);
        socket.send({ release });
      },
      message: (socket, message) => void socket.send(message),
      close: (socket) => void this.open.delete(socket.id),
    });

  /** Closes all of them, one after the other, within `window` milliseconds. */
  closeWithin(window: number): void {
    for (const socket of this.open.values()) {
      setTimeout(() => socket.close(GOING_AWAY, "the server is going away"), Math.random() * window);
    }
  }
}
