package scenarios;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;

/** Keeps what a push consumer is given, and says yes to it. */
public class Inbox implements MessageListenerConcurrently {
    private final BlockingQueue<MessageExt> messages = new LinkedBlockingQueue<>();

    @Override
    public ConsumeConcurrentlyStatus consumeMessage(List<MessageExt> given, ConsumeConcurrentlyContext context) {
        messages.addAll(given);
        return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    }

    public void add(MessageExt message) {
        messages.add(message);
    }

    /** What has come, once there are so many, or after so many seconds. */
    public List<MessageExt> take(int count, int seconds) throws InterruptedException {
        List<MessageExt> taken = new ArrayList<>();
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (taken.size() < count) {
            MessageExt message = messages.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (message == null) {
                break;
            }
            taken.add(message);
        }
        return taken;
    }

    /** The same, and whatever comes in the half second that follows. */
    public List<MessageExt> takeAll(int count, int seconds) throws InterruptedException {
        List<MessageExt> taken = take(count, seconds);
        Thread.sleep(500);
        messages.drainTo(taken);
        return taken;
    }
}
