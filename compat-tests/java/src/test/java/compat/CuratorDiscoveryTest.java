package compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;
import org.apache.curator.x.discovery.strategies.RoundRobinStrategy;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Curator's service discovery: one client offers services, another finds them. */
class CuratorDiscoveryTest {
    private Crowd crowd;

    @BeforeEach
    void connect() throws InterruptedException {
        crowd = new Crowd(2);
    }

    @AfterEach
    void close() {
        crowd.close();
    }

    private static ServiceInstance<String> instance(int port) throws Exception {
        return ServiceInstance.<String>builder().name("web").address("127.0.0.1").port(port).payload("rack " + port).build();
    }

    private static ServiceDiscovery<String> discovery(CuratorFramework client) throws Exception {
        ServiceDiscovery<String> made = ServiceDiscoveryBuilder.builder(String.class).client(client).basePath("/services").build();
        made.start();
        return made;
    }

    private static Set<Integer> ports(ServiceCache<String> cache) {
        return cache.getInstances().stream().map(ServiceInstance::getPort).collect(Collectors.toSet());
    }

    @Test
    void servicesAreFoundAndGo() throws Exception {
        CuratorFramework owner = crowd.client(0);
        try (ServiceDiscovery<String> offering = discovery(owner); ServiceDiscovery<String> looking = discovery(crowd.client(1))) {
            ServiceInstance<String> first = instance(1001);
            ServiceInstance<String> second = instance(1002);
            offering.registerService(first);
            offering.registerService(second);
            try (ServiceCache<String> cache = looking.serviceCacheBuilder().name("web").build()) {
                cache.start();
                Support.await("both found", () -> ports(cache).equals(Set.of(1001, 1002)));
                assertTrue(looking.queryForNames().contains("web"));
                assertEquals("rack 1002", looking.queryForInstance("web", second.getId()).getPayload());
                offering.unregisterService(first);
                Support.await("one left", () -> ports(cache).equals(Set.of(1002)));
                long old = owner.getZookeeperClient().getZooKeeper().getSessionId();
                Support.expire(owner);
                Support.await("registered again in a new session", () -> {
                    var stat = crowd.client(1).checkExists().forPath("/services/web/" + second.getId());
                    return stat != null && stat.getEphemeralOwner() != old;
                });
                Support.await("found again", () -> ports(cache).equals(Set.of(1002)));
            }
        }
    }

    @Test
    void providerGoesRoundTheLivingInstances() throws Exception {
        try (ServiceDiscovery<String> offering = discovery(crowd.client(0)); ServiceDiscovery<String> looking = discovery(crowd.client(1));
                ServiceProvider<String> provider = looking.serviceProviderBuilder().serviceName("web")
                    .providerStrategy(new RoundRobinStrategy<>()).build()) {
            provider.start();
            assertNull(provider.getInstance());
            for (int port = 1001; port <= 1003; port++) {
                offering.registerService(instance(port));
            }
            Support.await("all three known", () -> provider.getAllInstances().size() == 3);
            Set<Integer> used = new HashSet<>();
            for (int i = 0; i < 3; i++) {
                used.add(provider.getInstance().getPort());
            }
            assertEquals(Set.of(1001, 1002, 1003), used);
            offering.close();
            Support.await("none is left", () -> provider.getInstance() == null);
            assertNotNull(looking.queryForNames());
        }
    }
}
