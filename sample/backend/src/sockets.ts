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
  private closing: { until: number } | null = null;

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
        if (this.closing) this.closeLater(socket, this.closing.until);
      },
      message: (socket, message) => void socket.send(message),
      close: (socket) => void this.open.delete(socket.id),
    });

  /** Closes all of them, one after the other, within `window` milliseconds. Those that still come are closed as well. */
  closeWithin(window: number): void {
    this.closing = { until: Date.now() + window };
    for (const socket of this.open.values()) this.closeLater(socket, this.closing.until);
  }

  private closeLater(socket: Socket, until: number): void {
    const left = Math.max(0, until - Date.now());
    setTimeout(() => socket.close(GOING_AWAY, "the server is going away"), Math.random() * left);
  }
}
