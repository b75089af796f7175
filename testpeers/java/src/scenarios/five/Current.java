package scenarios.five;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import scenarios.Generation;
import scenarios.Scenario;

/** The client of 5.x. */
public final class Current implements Generation {
    @Override
    public void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    @Override
    public String broker(DefaultMQAdminExt admin) throws Exception {
        return admin.examineBrokerClusterInfo().getBrokerAddrTable().values().iterator().next().selectBrokerAddr();
    }

    @Override
    public Map<String, Scenario> more() {
        Map<String, Scenario> more = new LinkedHashMap<>();
        Timers.add(more);
        Pops.add(more);
        Commands.add(more);
        return more;
    }
}
