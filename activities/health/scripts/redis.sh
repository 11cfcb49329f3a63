# A value through Redis and back: written, read, removed. Python speaks to it, since every cloud image has one, and hardly
# any a client of Redis. The password is in an environment that only root can read, and in no argument.
#
# Parameters: host, port, user, password, authority (PEM; empty without TLS), key, timeout (seconds).

set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
command -v python3 >/dev/null || exit 127

host=$host port=$port user=$user password=$password authority=$authority key=$key timeout=$timeout python3 - <<'PYTHON'
import os
import socket
import ssl
import sys

of = os.environ


def connect(host, port):
    plain = socket.create_connection((host, port), float(of["timeout"]))
    if of["authority"]:
        # It signs its own certificate, for a name that nobody asks for; but another one is not let through.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=of["authority"])
        plain = context.wrap_socket(plain)
    stream = plain.makefile("rwb")
    ask(stream, "AUTH", of["user"], of["password"])
    return stream


def ask(stream, *words):
    parts = [word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    stream.flush()
    line = stream.readline().decode().rstrip()
    if not line:
        raise EOFError(f"closed the connection at {words[0]}")
    if line[0] == "-":
        raise ValueError(line[1:])
    if line[0] == "$":
        return stream.read(int(line[1:]) + 2)[:-2].decode() if line != "$-1" else None
    return line[1:]


def told(error):
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


try:
    stream = connect(of["host"], int(of["port"]))
    try:
        ask(stream, "SET", of["key"], "here", "EX", "60")
    except ValueError as error:
        # A cluster names the member that has the key.
        if not str(error).startswith("MOVED "):
            raise
        host, _, port = str(error).split()[2].rpartition(":")
        stream = connect(host, int(port))
        ask(stream, "SET", of["key"], "here", "EX", "60")
    found = ask(stream, "GET", of["key"])
    ask(stream, "DEL", of["key"])
    if found != "here":
        raise ValueError("what was written is not what is read")
except (OSError, EOFError, ValueError) as error:
    sys.exit(f"Redis: {told(error)}")
PYTHON
