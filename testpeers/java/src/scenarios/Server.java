package scenarios;

import java.util.UUID;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The name server that is played against, and an administrator of its broker. */
final class Server implements AutoCloseable {
    final Generation generation;
    final String nameServer;
    /** The keys of an administrator, or null. */
    final RPCHook keys;
    private DefaultMQAdminExt admin;

    Server(Generation generation, String[] args) {
        this.generation = generation;
        this.nameServer = args[0];
        this.keys = args.length < 4 ? null : signing(args[2], args[3]);
    }

    static RPCHook signing(String accessKey, String secretKey) {
        return new AclClientRPCHook(new SessionCredentials(accessKey, secretKey));
    }

    synchronized DefaultMQAdminExt admin() throws Exception {
        if (admin == null) {
            DefaultMQAdminExt starting = new DefaultMQAdminExt(keys, 30_000);
            starting.setNamesrvAddr(nameServer);
            starting.setInstanceName("admin" + UUID.randomUUID());
            starting.start();
            // Whoever comes while the first connection is being made gives up after three seconds.
            Run.until(60, () -> starting.examineBrokerClusterInfo() != null);
            admin = starting;
        }
        return admin;
    }

    /** Creates a topic and waits for its route. */
    void create(String topic, int queues) throws Exception {
        admin().createAndUpdateTopicConfig(generation.broker(admin()), new TopicConfig(topic, queues, queues, 6));
        Run.until(10, () -> admin().examineTopicRouteInfo(topic).getQueueDatas().get(0).getWriteQueueNums() == queues);
    }

    @Override
    public synchronized void close() {
        if (admin != null) {
            admin.shutdown();
        }
    }
}
