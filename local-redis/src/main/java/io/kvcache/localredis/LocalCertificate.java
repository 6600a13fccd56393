package io.kvcache.localredis;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/**
 * A certificate for 127.0.0.1 and localhost that is signed with its own key, for servers and clients of tests.
 *
 * <pre>{@code
 * LocalCertificate certificate = LocalCertificate.create(temporaryDirectory, "server");
 * int tlsPort = LocalRedis.freePort();
 * LocalRedis.start(certificate.arguments(tlsPort, false));
 * }</pre>
 *
 * <p>Thread-safe: immutable.
 *
 * @param certificate file, PEM; whoever trusts it as an authority trusts the server
 * @param key file of the private key, PEM, not encrypted
 */
public record LocalCertificate(Path certificate, Path key) {
    private static final String ALIAS = "localhost";
    private static final String PASSWORD = "password"; // a key store must have one

    /**
     * Makes one, valid for a day.
     *
     * @param directory where its files go
     * @param name whose it is: letters and digits; other certificates in the directory have other names
     * @return the certificate
     */
    public static LocalCertificate create(Path directory, String name) {
        try {
            Path store = directory.resolve(name + ".p12");
            generate(store, name);
            KeyStore entries = KeyStore.getInstance("PKCS12");
            try (InputStream input = Files.newInputStream(store)) {
                entries.load(input, PASSWORD.toCharArray());
            }
            byte[] key = entries.getKey(ALIAS, PASSWORD.toCharArray()).getEncoded();
            byte[] certificate = entries.getCertificate(ALIAS).getEncoded();
            return new LocalCertificate(
                    write(directory.resolve(name + ".crt"), "CERTIFICATE", certificate),
                    write(directory.resolve(name + ".key"), "PRIVATE KEY", key));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("no certificate could be made: directory=" + directory, e);
        }
    }

    private static void generate(Path store, String name) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
        command.addAll(List.of("-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "1"));
        command.addAll(List.of("-dname", "CN=" + name, "-ext", "san=ip:127.0.0.1,dns:localhost"));
        command.addAll(List.of("-ext", "bc=ca:true"));
        command.addAll(List.of("-storetype", "PKCS12", "-keystore", store.toString()));
        command.addAll(List.of("-storepass", PASSWORD, "-alias", ALIAS));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (!Files.exists(store)) {
            throw new IllegalStateException("keytool made nothing: output=" + output);
        }
    }

    /**
     * What makes a server speak TLS on a port of its own, too.
     *
     * @param tlsPort the port
     * @param asksClients whether clients must show a certificate, which is this one
     * @return arguments for {@link LocalRedis#start}
     */
    public String[] arguments(int tlsPort, boolean asksClients) {
        return new String[] {
            "--tls-port",
            String.valueOf(tlsPort),
            "--tls-auth-clients",
            asksClients ? "yes" : "no",
            "--tls-cert-file",
            certificate.toString(),
            "--tls-key-file",
            key.toString(),
            "--tls-ca-cert-file",
            certificate.toString()
        };
    }

    private static Path write(Path file, String type, byte[] bytes) throws IOException {
        String text = Base64.getMimeEncoder().encodeToString(bytes);
        return Files.writeString(file, "-----BEGIN " + type + "-----\n" + text + "\n-----END " + type + "-----\n");
    }
}
