/**
 * The verdict table: frame, verdict, sentence. It is the specification in examples: the tests
 * run every row through the TypeScript and the native verdict, `clusterip explain --table`
 * prints it and `docs/semantics.md` shows it.
 *
 * `# TITLE` begins a section. `with …` says the settings of the virtual IP from there on. A row
 * has three lines: the frame in the frame language (build-frame.ts), `=` and what becomes of
 * it, and a sentence for operators. `kernel …` after a bucket names the flow for which a Linux
 * kernel with ipt_CLUSTERIP computed that bucket under these settings (test/fixtures/vectors):
 * the buckets here are the kernel's, not ours.
 */
export const tableText = `
# Who answers
with sourceip-sourceport, 4 nodes, seed 0, local 3

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A new connection whose bucket is this node's is answered here.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,443,80
A new connection whose bucket is another node's is dropped in silence: no RST, no ICMP.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 ack / data 100
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A segment in the middle of a connection is judged like its first; after a takeover the stack answers RST.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 ack / data 100
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,443,80
The bucket is looked at for every packet: a bucket that has moved away cuts its established connections at once.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 rst
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A reset that belongs to no connection is the stack's to ignore; the kernel target dropped it as INVALID.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 fin ack
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A FIN as the first packet of a flow is the stack's to answer with RST; the kernel target dropped it as INVALID.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn ack
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A stray SYN+ACK is answered with RST by the owner of its bucket; the kernel target dropped it as INVALID.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn ack
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,443,80
The answer to a connection that a node opened from the virtual IP is hashed like anything else, and is lost where the bucket is foreign.

eth to cluster / ipv4 192.168.77.11 > vip / udp 40000 > 80 / data 32
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
A UDP datagram is judged by the same words as a TCP segment.

eth to cluster / ipv4 192.168.77.11 > vip / udp 443 > 80 / data 32
= foreign foreign-bucket 2, kernel udp,192.168.77.11,443,80
A UDP datagram of a foreign bucket gets no ICMP port unreachable from this node either.

with sourceip-sourceport, 4 nodes, seed 0, local none

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= foreign foreign-bucket 3, kernel tcp,192.168.77.11,40000,80
A node without a bucket answers nothing but ARP.

with sourceip-sourceport, 4 nodes, seed 0, local 1,2,3,4

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn
= accept local-bucket 2, kernel tcp,192.168.77.11,443,80
The last node that is left has every bucket and answers every flow.

# Hash modes, seeds and numbers of nodes
with sourceip, 4 nodes, seed 0, local 1

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 1, kernel tcp,192.168.77.11,40000,80
With sourceip the address alone decides.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn
= accept local-bucket 1, kernel tcp,192.168.77.11,443,80
With sourceip another source port stays on the same node.

eth to cluster / ipv4 255.255.255.254 > vip / tcp 40000 > 80 syn
= foreign foreign-bucket 2, kernel tcp,255.255.255.254,40000,80
The highest source address is hashed like any other: it is a number of 32 bits without a sign.

with sourceip-sourceport, 4 nodes, seed 0, local 3

eth to cluster / ipv4 192.168.77.11 > vip / tcp 0 > 443 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,0,80
With sourceip-sourceport the destination port does not count, and source port 0 is a word like any other.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 255 > 80 syn
= foreign foreign-bucket 4, kernel tcp,192.168.77.11,255,256
Port 255 enters the hash as 0xff00: the two octets on the wire are read little-endian.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 256 > 80 syn
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,256,255
Port 256 enters the hash as 0x0001, so its bucket is another than that of port 255.

eth to cluster / ipv4 255.255.255.254 > vip / tcp 65535 > 80 syn
= accept local-bucket 3, kernel tcp,255.255.255.254,65535,65535
The highest source port with the highest address.

with sourceip-sourceport-destport, 4 nodes, seed 0, local 3

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,443,80
With sourceip-sourceport-destport all three words count.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 65535 > 65535 syn
= foreign foreign-bucket 4, kernel tcp,192.168.77.11,65535,65535
Source port 65535 to port 65535 is one flow of that client ...

eth to cluster / ipv4 192.168.77.11 > vip / tcp 65535 > 1 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,65535,1
... and the same source port to port 1 is another, on another node.

eth to cluster / ipv4 192.168.77.11 > vip / icmp echo-request / data 56
= foreign foreign-bucket 1, kernel icmp,192.168.77.11,0,0
With three words a ping has the words address, 0 and 0.

with sourceip-sourceport, 4 nodes, seed 1, local 2

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= foreign foreign-bucket 3, kernel tcp,192.168.77.11,40000,80
Seed 1 gives other buckets than seed 0, and this flow happens to keep its own.

eth to cluster / ipv4 192.168.77.11 > vip / icmp echo-request / data 56
= accept local-bucket 2, kernel icmp,192.168.77.11,0,0
Under seed 1 the ping of a client moves from bucket 3 to bucket 2.

with sourceip-sourceport, 4 nodes, seed 3735928559, local 4

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 4, kernel tcp,192.168.77.11,40000,80
A seed with the highest bit set is a number without a sign too.

with sourceip-sourceport, 1 nodes, seed 0, local 1

eth to cluster / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn
= accept local-bucket 1, kernel tcp,192.168.77.11,443,80
With one node there is one bucket.

with sourceip-sourceport, 3 nodes, seed 0, local 2

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 2, kernel tcp,192.168.77.11,40000,80
With three nodes the range of the hash is cut into three equal parts: it is no modulo.

with sourceip-sourceport, 16 nodes, seed 0, local 1,10

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 10, kernel tcp,192.168.77.11,40000,80
Sixteen buckets are the most, and a node may have several of them.

eth to cluster / ipv4 10.0.0.1 > vip / tcp 256 > 80 syn
= foreign foreign-bucket 16, kernel tcp,10.0.0.1,256,255
The last of sixteen buckets exists like the others.

# Protocols
with sourceip-sourceport, 4 nodes, seed 0, local 3

eth to cluster / ipv4 189.215.114.4 > vip / sctp 48605 > 60485 / data 16
= accept local-bucket 3, kernel sctp,189.215.114.4,48605,60485
SCTP has its ports where TCP has them.

eth to cluster / ipv4 62.2.0.112 > vip / dccp 1484 > 2793
= accept local-bucket 3, kernel dccp,62.2.0.112,1484,2793
DCCP has its ports where TCP has them.

eth to cluster / ipv4 116.105.234.152 > vip / udplite 387 > 47677 / data 16
= accept local-bucket 3, kernel udplite,116.105.234.152,387,47677
UDP-Lite has its ports where UDP has them.

eth to cluster / ipv4 40.178.124.196 > vip / esp 0xc2726d96 / data 32
= accept local-bucket 3, kernel esp,40.178.124.196,49778,28054
ESP has no ports: the first half of its SPI is hashed in place of the source port.

eth to cluster / ipv4 73.33.241.116 > vip / ah 0xc35f7e5a / data 32
= accept local-bucket 3, kernel ah,73.33.241.116,50015,32346
AH has its SPI behind four octets, and the first half of it is hashed.

eth to cluster / ipv4 197.61.103.69 > vip proto gre / data 24
= accept local-bucket 3, kernel gre,197.61.103.69,0,0
GRE has no ports and is hashed with ports 0 and 0.

eth to cluster / ipv4 192.45.41.190 > vip proto gre / data 24
= foreign foreign-bucket 1, kernel gre,192.45.41.190,0,0
GRE from another client belongs to another node.

eth to cluster / ipv4 8.220.154.127 > vip proto 253 / data 24
= foreign foreign-bucket 4, kernel proto253,8.220.154.127,0,0
A protocol that nobody knows is hashed with ports 0 and 0.

eth to cluster / ipv4 192.168.77.11 > vip proto 4 / data 40
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
IPIP is hashed by its outer source address; the packet inside is not looked at.

eth to cluster / ipv4 192.168.77.11 > vip proto 253
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
Without ports nothing is read behind the IPv4 header, so that an empty packet has a bucket.

with sourceip-sourceport-destport, 4 nodes, seed 0, local 3

eth to cluster / ipv4 30.113.227.59 > vip / sctp 41424 > 10235 / data 16
= accept local-bucket 3, kernel sctp,30.113.227.59,41424,10235
With three words SCTP's destination port counts.

eth to cluster / ipv4 205.208.167.158 > vip / esp 0x55bed917 / data 32
= accept local-bucket 3, kernel esp,205.208.167.158,21950,55575
With three words both halves of the ESP SPI count.

eth to cluster / ipv4 157.49.35.15 > vip / ah 0xc8392a53 / data 32
= accept local-bucket 3, kernel ah,157.49.35.15,51257,10835
With three words both halves of the AH SPI count.

# What does not matter
with sourceip-sourceport, 4 nodes, seed 0, local 3

eth to nic / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A frame to the NIC's own MAC is hashed like one to the cluster MAC.

eth to nic / ipv4 192.168.77.11 > vip / tcp 443 > 80 syn
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,443,80
A frame to the NIC's own MAC of a foreign bucket is dropped as well.

eth to broadcast / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A broadcast frame is hashed like one to the cluster MAC.

eth to cluster / ipv4 192.168.77.11 > vip ttl 1 tos 184 id 999 dont-fragment / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
Time to live, type of service, identification and "don't fragment" do not count.

eth to cluster / ipv4 192.168.77.11 > vip options 4 / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
The ports are found behind IPv4 options.

eth to cluster / ipv4 192.168.77.11 > vip options 40 / tcp 443 > 80 syn
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,443,80
The ports are found behind the longest header that IPv4 has, 60 octets.

eth to cluster / ipv4 192.168.77.11 > vip / udp 40000 > 80 / data 4 / pad to 60
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
Ethernet padding behind a short packet does not count and is not delivered.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn bad-checksum
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A wrong TCP checksum is the stack's to find; the kernel target dropped the packet as INVALID.

eth to cluster / ipv4 192.168.77.11 > vip bad-checksum / udp 40000 > 80 / data 8
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
A wrong IPv4 header checksum is the stack's to find.

eth to cluster / ipv4 192.168.77.11 > vip / udp 40000 > 80 no-checksum / data 8
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
UDP without a checksum is complete.

eth to cluster / ipv4 192.168.77.11 > vip proto tcp / data 4
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,1,1
Four octets behind the IPv4 header are enough for a verdict; a TCP header that ends there is the stack's to refuse.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 ack / data 20000
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A merged frame (GRO) far above the MTU is one packet of one flow.

# Fragments
eth to cluster / ipv4 192.168.77.11 > vip fragment 0 more / udp 40000 > 80 / data 1472
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
The first fragment has the ports and is judged by them.

eth to cluster / ipv4 192.168.77.11 > vip fragment 0 more / udp 443 > 80 / data 1472
= foreign foreign-bucket 2, kernel udp,192.168.77.11,443,80
The first fragment of a foreign flow is dropped, so that this node never completes the datagram.

eth to cluster / ipv4 192.168.77.11 > vip fragment 1480 more proto udp / data 1480
= accept later-fragment
A fragment in the middle has no ports and is given to the stack of every node.

eth to cluster / ipv4 192.168.77.11 > vip fragment 2960 proto udp / data 48
= accept later-fragment
The last fragment is given to the stack of every node, also when it arrives first.

eth to cluster / ipv4 192.168.77.11 > vip fragment 8 proto tcp / data 1
= accept later-fragment
A later fragment of one octet is not looked into.

eth to cluster / ipv4 192.168.77.11 > vip fragment 65528 proto 253
= accept later-fragment
The highest offset there is, without any octet, is a later fragment too.

eth to cluster / ipv4 192.168.77.11 > vip options 8 fragment 1480 proto icmp / data 600
= accept later-fragment
Later fragments of a large ping go to every node, behind options too.

eth to cluster / ipv4 192.168.77.11 > vip fragment 0 more / icmp echo-request / data 1472
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
The first fragment of a large ping is judged by its address.

eth to cluster / ipv4 192.168.77.11 > vip fragment 0 more proto tcp / data 3
= malformed ports-truncated
A first fragment that is too short for the ports can only be an attack: no stack sends one.

# ICMP requests and answers
eth to cluster / ipv4 192.168.77.11 > vip / icmp echo-request / data 56
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
A ping is hashed with ports 0 and 0, and one node answers it.

eth to cluster / ipv4 255.255.255.254 > vip / icmp echo-request / data 56
= foreign foreign-bucket 4, kernel icmp,255.255.255.254,0,0
The ping of another client is another node's.

eth to cluster / ipv4 192.168.77.11 > vip / icmp echo-request bad-checksum / data 56
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
A wrong ICMP checksum is the stack's to find.

eth to cluster / ipv4 192.168.77.11 > vip / icmp timestamp-request / data 12
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
A timestamp request is hashed like a ping.

eth to cluster / ipv4 192.168.77.11 > vip / icmp info-request
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
An information request is hashed like a ping.

eth to cluster / ipv4 192.168.77.11 > vip / icmp mask-request / data 4
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
An address mask request is hashed like a ping.

eth to cluster / ipv4 192.168.77.11 > vip / icmp echo-reply / data 56
= drop icmp-unsolicited
An echo reply that arrives at the virtual IP is dropped on every node.

eth to cluster / ipv4 192.168.77.11 > vip / icmp timestamp-reply / data 12
= drop icmp-unsolicited
A timestamp reply is dropped on every node.

eth to cluster / ipv4 192.168.77.11 > vip / icmp info-reply
= drop icmp-unsolicited
An information reply is dropped on every node.

eth to cluster / ipv4 192.168.77.11 > vip / icmp mask-reply / data 4
= drop icmp-unsolicited
An address mask reply is dropped on every node.

eth to cluster / ipv4 192.168.77.11 > vip / icmp router-advertisement / data 8
= drop icmp-unsolicited
A router advertisement has no business at a virtual IP.

eth to cluster / ipv4 192.168.77.11 > vip / icmp router-solicitation
= drop icmp-unsolicited
A router solicitation is neither one of the four requests nor an error.

eth to cluster / ipv4 192.168.77.11 > vip / icmp type 200 code 1 / data 8
= drop icmp-unsolicited
An ICMP type that nobody has assigned is dropped on every node.

# ICMP errors
eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed / ipv4 vip > 192.168.77.11 / tcp 80 > 40000 ack / data 100
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
"Fragmentation needed" reaches the owner of the connection that it is about, whichever router sent it: path MTU discovery works.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed / ipv4 vip > 192.168.77.11 / tcp 80 > 443 ack / data 100
= foreign foreign-bucket 2, kernel tcp,192.168.77.11,443,80
An error about a connection of another node is that node's.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed quoting 28 / ipv4 vip > 192.168.77.11 / tcp 80 > 40000 ack / data 100
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
The header and eight octets, the least that a router quotes, are enough.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port quoting 24 / ipv4 vip > 192.168.77.11 / udp 80 > 40000 / data 100
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
The ports are all that is read of a quoted packet behind its header.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port quoting 68 / ipv4 vip > 192.168.77.11 options 40 / udp 80 > 40000 / data 100
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
The ports are found behind the options of a quoted packet.

eth to cluster / ipv4 203.0.113.1 > vip / icmp source-quench / ipv4 vip > 192.168.77.11 / tcp 80 > 40000 ack
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A source quench is an error; the stack ignores it.

eth to cluster / ipv4 203.0.113.1 > vip / icmp redirect host / ipv4 vip > 192.168.77.11 / tcp 80 > 40000 ack
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A redirect goes to the owner of the flow.

eth to cluster / ipv4 203.0.113.1 > vip / icmp time-exceeded ttl / ipv4 vip > 192.168.77.11 / udp 80 > 40000 / data 8
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
"Time exceeded" goes to the owner of the flow.

eth to cluster / ipv4 203.0.113.1 > vip / icmp parameter-problem / ipv4 vip > 192.168.77.11 / udp 80 > 40000 / data 8
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
"Parameter problem" goes to the owner of the flow.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable protocol / ipv4 vip > 189.215.114.4 / sctp 60485 > 48605 / data 16
= accept local-bucket 3, kernel sctp,189.215.114.4,48605,60485
An error about SCTP is judged by the ports inside.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable host / ipv4 vip > 192.168.77.11 / icmp echo-reply / data 56
= accept local-bucket 3, kernel icmp,192.168.77.11,0,0
An error about the answer to a ping goes where the ping went.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable host / ipv4 vip > 192.45.41.190 proto gre / data 24
= foreign foreign-bucket 1, kernel gre,192.45.41.190,0,0
An error about a protocol without ports is judged by the client's address.

eth to cluster / ipv4 203.0.113.1 > vip / icmp time-exceeded reassembly / ipv4 vip > 192.168.77.11 fragment 0 more / udp 80 > 40000 / data 1472
= accept local-bucket 3, kernel udp,192.168.77.11,40000,80
An error about a first fragment is judged by its ports.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed / ipv4 vip > 192.168.77.11 fragment 1480 proto udp / data 100
= drop icmp-inner-fragment
An error about a later fragment names no flow, and no stack could use it.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed / ipv4 vip > 40.178.124.196 / esp 0x00001234 / data 32
= accept icmp-inner-spi
An error about ESP from the virtual IP names the SPI of the other direction: every node takes it.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed / ipv4 vip > 73.33.241.116 / ah 0x00001234 / data 32
= accept icmp-inner-spi
An error about AH from the virtual IP goes to every node as well.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port / ipv4 198.51.100.9 > 192.168.77.11 / udp 80 > 40000 / data 8
= drop icmp-other-flow
An error about a packet that another address sent is a forgery or a mistake.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port / ipv4 192.168.77.11 > vip / udp 40000 > 80 / data 8
= drop icmp-other-flow
An error about a packet to the virtual IP instead of from it is not for this host.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port
= malformed icmp-inner-truncated
An error that quotes nothing cannot be judged.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port quoting 19 / ipv4 vip > 192.168.77.11 / udp 80 > 40000
= malformed icmp-inner-truncated
An error whose quoted IPv4 header is cut short cannot be judged.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port quoting 23 / ipv4 vip > 192.168.77.11 / udp 80 > 40000
= malformed icmp-inner-truncated
An error that is cut inside the ports has no flow where the ports are hashed.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port / ipv4 vip > 192.168.77.11 header-length 60 / udp 80 > 40000
= malformed icmp-inner-truncated
An error whose quoted header says that it is longer than the quotation has no ports.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port / ipv4 vip > 192.168.77.11 version 6 / udp 80 > 40000
= malformed icmp-inner-malformed
An error that quotes a packet of another IP version is nonsense.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port / ipv4 vip > 192.168.77.11 header-length 16 / udp 80 > 40000
= malformed icmp-inner-malformed
An error that quotes a header shorter than an IPv4 header is nonsense.

with sourceip, 4 nodes, seed 0, local 1

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed quoting 20 / ipv4 vip > 192.168.77.11 / tcp 80 > 40000 ack
= accept local-bucket 1, kernel tcp,192.168.77.11,40000,80
With sourceip the quoted addresses are enough for an error.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable frag-needed / ipv4 vip > 192.168.77.11 / esp 0x00001234 / data 32
= accept local-bucket 1, kernel tcp,192.168.77.11,40000,80
With sourceip an error about ESP has a bucket, because no SPI is hashed.

# Not for this virtual IP
with sourceip-sourceport, 4 nodes, seed 0, local 3

eth to broadcast / arp who-has vip from 192.168.77.11
= not-ours not-ipv4
ARP is answered by the kernel, on every node, with the cluster MAC.

eth to cluster / ipv6
= not-ours not-ipv4
IPv6 has nothing to do with an IPv4 address.

eth to cluster type 0x88cc / data 46
= not-ours not-ipv4
LLDP and every other EtherType stay with the kernel.

eth to cluster / vlan 5 / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= not-ours vlan-tagged
A frame of VLAN 5 belongs to the VLAN interface, where the virtual IP is not served.

eth to cluster / vlan 0 priority 5 / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
A tag of VLAN 0 only carries a priority: the frame is the interface's own.

eth to cluster / qinq 100 / vlan 5 / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= not-ours vlan-tagged
A frame with two tags belongs to a VLAN interface too.

eth to cluster / qinq 0 priority 3 / vlan 0 / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= accept local-bucket 3, kernel tcp,192.168.77.11,40000,80
Two tags of VLAN 0 carry nothing but priorities.

eth to cluster / vlan 0 / vlan 5 / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= not-ours vlan-tagged
Behind a priority tag, the tag of a VLAN counts.

eth to cluster / vlan 0 / ipv6
= not-ours not-ipv4
Behind a priority tag, other EtherTypes are still not IPv4.

eth to other / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn
= not-ours other-host
A frame to the MAC of another host is seen when the NIC is promiscuous or the switch floods; it is that host's.

eth to cluster / ipv4 192.168.77.11 > 192.0.2.11 / udp 40000 > 80 / data 8
= not-ours other-address
A packet to the node's own address but to the cluster MAC is not the virtual IP's traffic and is left to the kernel.

eth to cluster / ipv4 vip > 192.168.77.11 / tcp 80 > 40000 syn ack
= not-ours other-address
What another node sends from the virtual IP is not addressed to it.

# Lengths that lie and frames that end early
eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 0
= malformed ethernet-truncated
An empty frame.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 13
= malformed ethernet-truncated
A frame that ends inside its EtherType.

eth to cluster / vlan 0 / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 17
= malformed ethernet-truncated
A frame that ends inside its VLAN tag.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 14
= malformed ipv4-truncated
A frame that says IPv4 and ends there.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 33
= malformed ipv4-truncated
A frame that ends inside the destination address.

eth to cluster / ipv4 192.168.77.11 > vip version 6 / tcp 40000 > 80 syn
= malformed ipv4-version
A packet whose version is not that of its EtherType.

eth to cluster / ipv4 192.168.77.11 > vip header-length 16 / tcp 40000 > 80 syn
= malformed ipv4-header-length
A header length below the fixed header.

eth to cluster / ipv4 192.168.77.11 > vip header-length 60 / tcp 40000 > 80 syn
= malformed ipv4-header-length
A header length above the total length: options that are not there.

eth to cluster / ipv4 192.168.77.11 > vip total-length 19 / tcp 40000 > 80 syn
= malformed ipv4-header-length
A total length below the header's own.

eth to cluster / ipv4 192.168.77.11 > vip total-length 0 / tcp 40000 > 80 ack / data 20000
= malformed ipv4-header-length
A total length of 0, as Linux writes it into merged packets above 64 KiB (BIG TCP, off by default), is not understood.

eth to cluster / ipv4 192.168.77.11 > vip total-length 2000 / tcp 40000 > 80 syn
= malformed ipv4-total-length
A total length above what the frame holds.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 53
= malformed ipv4-total-length
A packet of which the last octet is missing.

eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 34
= malformed ipv4-total-length
A packet of which only the header arrived.

eth to cluster / ipv4 192.168.77.11 > vip proto tcp
= malformed ports-truncated
A TCP packet without any TCP.

eth to cluster / ipv4 192.168.77.11 > vip total-length 23 / udp 40000 > 80 / data 8
= malformed ports-truncated
A packet whose total length ends inside the ports, although the frame goes on.

eth to cluster / ipv4 192.168.77.11 > vip proto udp / data 3 / pad to 60
= malformed ports-truncated
Ports that would lie in the Ethernet padding are not there.

eth to cluster / ipv4 73.33.241.116 > vip proto ah / data 7
= malformed ports-truncated
An AH header that ends inside its SPI.

eth to cluster / ipv4 40.178.124.196 > vip proto esp / data 3
= malformed ports-truncated
An ESP header that ends inside its SPI.

eth to cluster / ipv4 192.168.77.11 > vip proto icmp / data 7
= malformed icmp-truncated
An ICMP message that ends inside its header.

eth to cluster / ipv4 192.168.77.11 > vip proto icmp
= malformed icmp-truncated
An ICMP packet without any ICMP.

# Priorities
eth to other / arp who-has vip from 192.168.77.11
= not-ours not-ipv4
What the frame carries is looked at before whom it is addressed to.

eth to other / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn / cut at 20
= not-ours other-host
A frame of another host is none of ours however broken it is.

eth to cluster / ipv4 192.168.77.11 > 192.0.2.11 header-length 16 / udp 40000 > 80
= not-ours other-address
A broken packet to another address is not counted against the virtual IP.

eth to cluster / ipv4 203.0.113.1 > vip / icmp unreachable port / ipv4 198.51.100.9 > 192.168.77.11 fragment 8 proto udp / data 8
= drop icmp-other-flow
An error about another address's fragment is, above all, about another address.
`;
