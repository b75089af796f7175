// Package rocketmqtest runs the real RocketMQ beside the gateway, for tests: a name server and a broker
// from Apache's own jars, mqadmin, and the scenarios of ../java played by the stock Java clients of two
// generations. What they observe at the real broker is what they have to observe at the gateway.
//
// `mvn -q -f testpeers/pom.xml package` gathers the jars. Where they or Java are missing, tests are
// skipped, unless SLUICE_REQUIRE_PEERS=1 says that they must be there.
package rocketmqtest
