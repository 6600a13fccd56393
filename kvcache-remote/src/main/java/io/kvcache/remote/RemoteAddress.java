package io.kvcache.remote;

import io.lettuce.core.RedisURI;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Where servers are, and as whom to talk to them. Does not show the password.
 *
 * <p>Thread-safe: immutable.
 */
public final class RemoteAddress {
    private static final String PLAIN = "redis";
    private static final String TLS = "rediss";
    private static final int PORT = 6379;
    private static final int HIGHEST_PORT = 65_535;
    private static final String FORM = "redis[s]://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/DATABASE]";

    private static final String HIDDEN = "***";

    private final boolean tls;
    private final @Nullable String user;
    private final @Nullable String password;
    private final int database;
    private final List<String> hosts; // HOST:PORT

    private RemoteAddress(
            boolean tls, @Nullable String user, @Nullable String password, int database, List<String> hosts) {
        this.tls = tls;
        this.user = user;
        this.password = password;
        this.database = database;
        this.hosts = hosts;
    }

    /**
     * Reads an address: {@code redis[s]://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/DATABASE]}. With {@code rediss} it is
     * spoken to by TLS. Of a cluster it is enough to name some nodes; that it is one, the first node that answers tells.
     * What stands before the {@code @} without a colon is the password. In user and password, special characters are escaped
     * as in any URI.
     *
     * @param text the address
     * @return an address
     * @throws IllegalArgumentException if it has another form; the message does not show the password
     */
    public static RemoteAddress of(String text) {
        Objects.requireNonNull(text, "text");
        int scheme = text.indexOf("://");
        String name = scheme < 0 ? "" : text.substring(0, scheme);
        if (!name.equals(PLAIN) && !name.equals(TLS)) {
            throw malformed("scheme", name.matches("[a-zA-Z0-9]*") ? name : HIDDEN);
        }
        String rest = text.substring(scheme + "://".length());
        int at = rest.lastIndexOf('@');
        int slash = rest.indexOf('/', at + 1);
        String hosts = slash < 0 ? rest.substring(at + 1) : rest.substring(at + 1, slash);
        String path = slash < 0 ? "" : rest.substring(slash + 1);
        String[] credentials = at < 0 ? new String[0] : rest.substring(0, at).split(":", 2);
        return new RemoteAddress(
                name.equals(TLS),
                credentials.length < 2 || credentials[0].isEmpty() ? null : decode(credentials[0]),
                credentials.length == 0 ? null : decode(credentials[credentials.length - 1]),
                database(path),
                hosts(hosts, at >= 0));
    }

    private static String decode(String escaped) {
        try {
            return URLDecoder.decode(escaped.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("escapes in user or password are malformed: wanted=" + FORM);
        }
    }

    private static int database(String path) {
        if (path.isEmpty()) {
            return 0;
        }
        if (!path.matches("[0-9]{1,4}")) {
            throw malformed("database", path);
        }
        return Integer.parseInt(path);
    }

    /** Reads hosts; without credentials before them, what is malformed may be the credentials, and is not shown. */
    private static List<String> hosts(String text, boolean shown) {
        List<String> hosts = new ArrayList<>();
        for (String host : text.split(",", -1)) {
            try {
                URI uri = new URI(PLAIN, host, null, null, null).parseServerAuthority();
                if (uri.getHost() == null || uri.getUserInfo() != null || uri.getPort() > HIGHEST_PORT) {
                    throw malformed("host", shown ? host : HIDDEN);
                }
                hosts.add(uri.getHost() + ":" + (uri.getPort() < 0 ? PORT : uri.getPort()));
            } catch (URISyntaxException e) {
                throw malformed("host", shown ? host : HIDDEN);
            }
        }
        return List.copyOf(hosts);
    }

    private static IllegalArgumentException malformed(String what, String part) {
        return new IllegalArgumentException("address is malformed: " + what + "=" + part + " wanted=" + FORM);
    }

    /**
     * Returns the servers to begin with.
     *
     * @return each as {@code HOST:PORT}; at least one
     */
    public List<String> hosts() {
        return hosts;
    }

    /** How to talk to a server of these, or another one of their cluster. */
    RedisURI uri(String host) {
        int colon = host.lastIndexOf(':');
        String name = host.substring(0, colon).replaceAll("[\\[\\]]", "");
        RedisURI.Builder builder = RedisURI.builder()
                .withHost(name)
                .withPort(Integer.parseInt(host.substring(colon + 1)))
                .withSsl(tls)
                .withDatabase(database);
        if (password != null && user != null) {
            builder.withAuthentication(user, password.toCharArray());
        } else if (password != null) {
            builder.withPassword(password.toCharArray());
        }
        return builder.build();
    }

    /** The address without the password. */
    @Override
    public String toString() {
        String login = (user == null ? "" : user) + (password == null ? "" : ":***") + (password == null ? "" : "@");
        return (tls ? TLS : PLAIN) + "://" + login + String.join(",", hosts) + (database == 0 ? "" : "/" + database);
    }
}
