package compat;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A wire to the server that a test can cut, as when a host dies or a cable is pulled: nobody gets to say goodbye. */
final class Proxy implements Closeable {
    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private boolean open = true;

    Proxy() throws IOException {
        daemon(this::accept);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Drops every connection and refuses new ones until {@link #mend()}. */
    synchronized void cut() {
        open = false;
        dropAll();
    }

    /** Drops every connection; the client may come back at once. */
    synchronized void dropAll() {
        sockets.forEach(Proxy::drop);
        sockets.clear();
    }

    synchronized void mend() {
        open = true;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void accept() {
        while (!listener.isClosed()) {
            try {
                join(listener.accept());
            } catch (IOException closed) {
                continue;
            }
        }
    }

    private void join(Socket client) throws IOException {
        Socket server = new Socket();
        if (!admit(client, server)) {
            return;
        }
        String[] address = Support.ADDRESS.split(":");
        server.connect(new InetSocketAddress(address[0], Integer.parseInt(address[1])));
        client.setTcpNoDelay(true);
        server.setTcpNoDelay(true);
        daemon(() -> pump(client, server));
        daemon(() -> pump(server, client));
    }

    /** Not a byte may pass while the wire is cut: a request to reconnect would keep the session alive. */
    private synchronized boolean admit(Socket client, Socket server) {
        if (open) {
            sockets.add(client);
            sockets.add(server);
        } else {
            drop(client);
        }
        return open;
    }

    private void pump(Socket from, Socket to) {
        byte[] chunk = new byte[16 * 1024];
        try {
            InputStream source = from.getInputStream();
            OutputStream sink = to.getOutputStream();
            for (int size = source.read(chunk); size >= 0; size = source.read(chunk)) {
                sink.write(chunk, 0, size);
            }
        } catch (IOException broken) {
            // Either end is gone; both are dropped below.
        } finally {
            drop(from);
            drop(to);
        }
    }

    private static void drop(Socket socket) {
        try {
            socket.close();
        } catch (IOException ignored) {
            // It is closed for this process, whatever the kernel says.
        }
    }

    private static void daemon(Runnable work) {
        Thread thread = new Thread(work, "proxy");
        thread.setDaemon(true);
        thread.start();
    }
}
