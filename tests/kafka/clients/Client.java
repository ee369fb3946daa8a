import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Partitioner;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A hospital's and a reader's program on the JVM, with nothing of ours in it.
 *
 * <p>`write BOOTSTRAP COMPRESSION TRANSACTIONAL_ID|-`: one command a line on the standard input,
 * `send TOPIC KEY VALUE [NAME,VALUE ...]`, `commit` or `abort`. `read BOOTSTRAP ISOLATION|- TOPIC
 * ...`: all that the topics hold, one `TOPIC PARTITION KEY VALUE [NAME,VALUE ...]` a line. Keys,
 * values and headers are Base64 behind a colon, `-` is null.
 */
public final class Client {
  /** Everything with a key goes to the last partition, the others by turns: not Kafka's way. */
  public static final class LastOfAll implements Partitioner {
    private int next = 0;

    @Override
    public int partition(
        String topic, Object k, byte[] key, Object v, byte[] value, Cluster cluster) {
      List<PartitionInfo> partitions = cluster.partitionsForTopic(topic);
      return key != null ? partitions.size() - 1 : next++ % partitions.size();
    }

    @Override
    public void close() {}

    @Override
    public void configure(Map<String, ?> settings) {}
  }

  public static void main(String[] args) throws Exception {
    if (args[0].equals("write")) {
      write(args[1], args[2], args[3]);
    } else {
      read(args[1], args[2], List.of(args).subList(3, args.length));
    }
  }

  private static void write(String bootstrap, String compression, String id) throws Exception {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("compression.type", compression);
    settings.put("linger.ms", 50);
    settings.put("max.request.size", 4 << 20); // the broker decides what is too large
    settings.put("partitioner.class", LastOfAll.class);
    boolean transactional = !id.equals("-");
    if (transactional) {
      settings.put("transactional.id", id);
    }
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      if (transactional) {
        producer.initTransactions();
        producer.beginTransaction();
      }
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      BufferedReader input =
          new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (String line = input.readLine(); line != null; line = input.readLine()) {
        String[] words = line.split(" ");
        if (words[0].equals("send")) {
          sent.add(producer.send(record(words)));
          continue;
        }
        producer.flush();
        if (words[0].equals("commit")) {
          producer.commitTransaction();
        } else {
          producer.abortTransaction();
          sent.clear();
        }
        producer.beginTransaction();
      }
      producer.flush();
      for (Future<RecordMetadata> one : sent) {
        one.get();
      }
      if (transactional) {
        producer.commitTransaction();
      }
    }
  }

  private static ProducerRecord<byte[], byte[]> record(String[] words) {
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(words[1], bytes(words[2]), bytes(words[3]));
    for (int i = 4; i < words.length; i++) {
      String[] header = words[i].split(",");
      String name = new String(bytes(header[0]), StandardCharsets.UTF_8);
      record.headers().add(name, bytes(header[1]));
    }
    return record;
  }

  private static void read(String bootstrap, String isolation, List<String> topics) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    settings.put("auto.offset.reset", "earliest");
    settings.put("enable.auto.commit", "false");
    if (!isolation.equals("-")) {
      settings.put("isolation.level", isolation);
    }
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = new ArrayList<>();
      for (String topic : topics) {
        for (PartitionInfo info : consumer.partitionsFor(topic)) {
          partitions.add(new TopicPartition(topic, info.partition()));
        }
      }
      consumer.assign(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      StringBuilder out = new StringBuilder();
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          out.append(record.topic()).append(' ').append(record.partition()).append(' ');
          out.append(text(record.key())).append(' ').append(text(record.value()));
          for (Header header : record.headers()) {
            out.append(' ').append(text(header.key().getBytes(StandardCharsets.UTF_8)));
            out.append(',').append(text(header.value()));
          }
          out.append('\n');
        }
      }
      System.out.print(out);
      System.out.flush();
    }
  }

  private static byte[] bytes(String word) {
    return word.equals("-") ? null : Base64.getDecoder().decode(word.substring(1));
  }

  private static String text(byte[] bytes) {
    return bytes == null ? "-" : ":" + Base64.getEncoder().encodeToString(bytes);
  }

  private Client() {}
}
