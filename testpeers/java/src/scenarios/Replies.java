package scenarios;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A request in one topic, and its answer to whoever asked. */
final class Replies {
    private Replies() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("request_reply", Replies::play);
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer replier = run.producer(run.group("_replier"));
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        Inbox requests = new Inbox();
        consumer.registerMessageListener((MessageListenerConcurrently) (given, context) -> {
            for (MessageExt request : given) {
                requests.add(request);
                if (Facts.text(request).startsWith("ignored")) {
                    continue;
                }
                try {
                    Message reply = MessageUtil.createReplyMessage(request, Facts.bytes("answer to " + Facts.text(request)));
                    SendResult sent = replier.send(reply, 5_000);
                    run.see("reply sent", "to", Facts.text(request), "status", sent.getSendStatus());
                } catch (Exception wrong) {
                    run.see("reply failed", "error", String.valueOf(wrong));
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Run.owns(consumer, topic, 1);
        DefaultMQProducer producer = run.producer();
        Message answer = producer.request(Run.message(topic, "", "request"), 10_000);
        run.note("answer", Facts.of((MessageExt) answer));
        CompletableFuture<Message> later = new CompletableFuture<>();
        producer.request(Run.message(topic, "", "async request"), new RequestCallback() {
            @Override
            public void onSuccess(Message message) {
                if (message != null) { // The client says so too when the request has been sent.
                    later.complete(message);
                }
            }

            @Override
            public void onException(Throwable wrong) {
                later.completeExceptionally(wrong);
            }
        }, 10_000);
        run.note("async answer", Facts.of((MessageExt) later.get(15, TimeUnit.SECONDS)));
        for (MessageExt request : requests.take(2, 5)) {
            run.note("request", Facts.of(request));
        }
        run.attempt("no answer", () -> producer.request(Run.message(topic, "", "ignored"), 1_500));
    }
}
