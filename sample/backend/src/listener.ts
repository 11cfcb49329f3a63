/**
 * Listening sockets that share a port, on Linux.
 *
 * The kernel spreads new connections over them. One that closes resets what it has not read yet, and a balancer that has
 * sent its request there tells its client 502. So an older process must get nothing new for a while before it closes.
 */

import { dlopen, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const LISTEN = "0A";
const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
/** `return k`: the place of the socket, in the order in which they began to listen. */
const BPF_RET_K = 0x06;

/** Inodes of the sockets that listen on an IPv4 address, of all processes. */
export function listeners(host: string, port: number): string[] {
  const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, "0");
  const bytes = host.split(".").map((byte) => hex(Number(byte), 2));
  const address = `${bytes.reverse().join("")}:${hex(port, 4)}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n").map((row) => row.trim().split(/\s+/));
  return rows.filter((row) => row[1] === address && row[3] === LISTEN).map((row) => row[9]!);
}

/** From now on this process, the last one that began to listen there, gets all new connections. */
export function claim(host: string, port: number): void {
  const inodes = listeners(host, port);
  const fd = inodes.map(descriptor).find((found) => found !== undefined);
  if (fd === undefined) throw new Error(`this process does not listen on ${host}:${port}`);
  // struct sock_filter { u16 code; u8 jt, jf; u32 k }
  const filter = new DataView(new ArrayBuffer(8));
  filter.setUint16(0, BPF_RET_K, true);
  filter.setUint32(4, inodes.length - 1, true);
  // struct sock_fprog { u16 len; struct sock_filter *filter }
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true);
  program.setBigUint64(8, BigInt(ptr(filter)), true);
  const libc = dlopen("libc.so.6", { setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } });
  const failed = libc.symbols.setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(program), program.byteLength);
  if (failed) console.warn("new connections are shared with the predecessor until it closes");
}

/** This process's descriptor of a socket. */
function descriptor(inode: string): number | undefined {
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === `socket:[${inode}]`) return Number(fd);
    } catch {
      // It was the one that read the folder.
    }
  }
  return undefined;
}
