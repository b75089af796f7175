package scenarios;

import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What the two generations of clients spell differently, and what one of them has alone. */
public interface Generation {
    void broadcast(DefaultMQPushConsumer consumer);

    /** The address of the one broker. */
    String broker(DefaultMQAdminExt admin) throws Exception;

    /** The scenarios that only this generation can play. */
    Map<String, Scenario> more();

    static Generation find() throws ReflectiveOperationException {
        String name = "scenarios.five.Current";
        try {
            Class.forName(name);
        } catch (ClassNotFoundException old) {
            name = "scenarios.four.Old";
        }
        return (Generation) Class.forName(name).getDeclaredConstructor().newInstance();
    }
}
