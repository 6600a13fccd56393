package io.kvcache.demo;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.stream.Stream;

/** A {@link DecodeMachine} in a process of its own. What it says goes to a queue, behind its name; {@code NAME gone} is the last. */
final class MachineProcess implements AutoCloseable {
    private final String name;
    private final Process process;
    private final PrintStream in;

    private MachineProcess(String name, Process process) {
        this.name = name;
        this.process = process;
        this.in = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
    }

    static MachineProcess start(String name, String servers, BlockingQueue<String> said) throws IOException {
        List<String> command = Stream.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx512m",
                        "--add-modules",
                        "jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED",
                        "--sun-misc-unsafe-memory-access=allow",
                        "-Dorg.bytedeco.javacpp.maxBytes=0",
                        "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                        "-cp",
                        System.getProperty("java.class.path"),
                        DecodeMachine.class.getName(),
                        servers,
                        name)
                .toList();
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("OMP_NUM_THREADS", "1");
        MachineProcess machine = new MachineProcess(name, builder.start());
        Thread.ofPlatform().daemon().start(() -> machine.listen(said));
        return machine;
    }

    private void listen(BlockingQueue<String> said) {
        try (BufferedReader out =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            out.lines().forEach(line -> said.add(name + " " + line));
        } catch (IOException | UncheckedIOException e) {
            said.add(name + " failed " + e);
        } finally {
            said.add(name + " gone");
        }
    }

    String name() {
        return name;
    }

    void say(String line) {
        in.println(line);
    }

    /** Kills it, and waits until it is gone. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
