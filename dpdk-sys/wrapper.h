/* What bindgen reads: DPDK's headers, and as enums whatever it can't evaluate by itself. */
#ifndef DPDK_SYS_WRAPPER_H
#define DPDK_SYS_WRAPPER_H

#include <stddef.h>
#include <stdint.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_telemetry.h>
#include <rte_version.h>

/* Macros made with RTE_BIT64 or shifts of casts: no tokens that bindgen evaluates. */
#define DPDK_SYS_FLAG(name) static const uint64_t DPDK_SYS_##name = (name)

DPDK_SYS_FLAG(RTE_MBUF_F_RX_IP_CKSUM_MASK);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_IP_CKSUM_BAD);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_IP_CKSUM_GOOD);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_IP_CKSUM_NONE);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_L4_CKSUM_MASK);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_L4_CKSUM_BAD);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_L4_CKSUM_GOOD);
DPDK_SYS_FLAG(RTE_MBUF_F_RX_L4_CKSUM_NONE);
DPDK_SYS_FLAG(RTE_MBUF_F_TX_IPV4);
DPDK_SYS_FLAG(RTE_MBUF_F_TX_IPV6);
DPDK_SYS_FLAG(RTE_MBUF_F_TX_IP_CKSUM);
DPDK_SYS_FLAG(RTE_MBUF_F_TX_UDP_CKSUM);
DPDK_SYS_FLAG(RTE_MBUF_F_INDIRECT);
DPDK_SYS_FLAG(RTE_MBUF_F_EXTERNAL);

DPDK_SYS_FLAG(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
DPDK_SYS_FLAG(RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
DPDK_SYS_FLAG(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
DPDK_SYS_FLAG(RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
DPDK_SYS_FLAG(RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
DPDK_SYS_FLAG(RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);

DPDK_SYS_FLAG(RTE_ETH_RSS_IPV4);
DPDK_SYS_FLAG(RTE_ETH_RSS_FRAG_IPV4);
DPDK_SYS_FLAG(RTE_ETH_RSS_NONFRAG_IPV4_UDP);
DPDK_SYS_FLAG(RTE_ETH_RSS_NONFRAG_IPV4_OTHER);
DPDK_SYS_FLAG(RTE_ETH_RSS_IPV6);
DPDK_SYS_FLAG(RTE_ETH_RSS_FRAG_IPV6);
DPDK_SYS_FLAG(RTE_ETH_RSS_NONFRAG_IPV6_UDP);
DPDK_SYS_FLAG(RTE_ETH_RSS_NONFRAG_IPV6_OTHER);

/* The fields of an mbuf that a data path reads. Its anonymous unions come and go between
 * releases, and with them the names that bindgen makes up; the offsets are the ABI. */
#define DPDK_SYS_OFFSET(field) static const size_t DPDK_SYS_MBUF_##field = offsetof(struct rte_mbuf, field)

DPDK_SYS_OFFSET(buf_addr);
DPDK_SYS_OFFSET(data_off);
DPDK_SYS_OFFSET(refcnt);
DPDK_SYS_OFFSET(nb_segs);
DPDK_SYS_OFFSET(port);
DPDK_SYS_OFFSET(ol_flags);
DPDK_SYS_OFFSET(pkt_len);
DPDK_SYS_OFFSET(data_len);
DPDK_SYS_OFFSET(buf_len);
DPDK_SYS_OFFSET(pool);
DPDK_SYS_OFFSET(next);
DPDK_SYS_OFFSET(tx_offload);

/* ---- shim.c: DPDK's static inlines ------------------------------------------------ */

/** `rte_errno` of the calling thread. */
int shim_rte_errno(void);
/** `rte_lcore_id`. */
unsigned shim_rte_lcore_id(void);
/** `rte_eth_rx_burst`. */
uint16_t shim_rte_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
/** `rte_eth_tx_burst`. */
uint16_t shim_rte_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
/** `rte_eth_tx_prepare`. */
uint16_t shim_rte_eth_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
/** `rte_eth_rx_queue_count`. */
int shim_rte_eth_rx_queue_count(uint16_t port, uint16_t queue);
/** `rte_pktmbuf_alloc_bulk`. */
int shim_rte_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned count);
/** `rte_pktmbuf_free`. */
void shim_rte_pktmbuf_free(struct rte_mbuf *mbuf);
/** `rte_pktmbuf_linearize`. */
int shim_rte_pktmbuf_linearize(struct rte_mbuf *mbuf);
/** `rte_pktmbuf_attach`. */
void shim_rte_pktmbuf_attach(struct rte_mbuf *indirect, struct rte_mbuf *direct);
/** `rte_mbuf_refcnt_update`. */
uint16_t shim_rte_mbuf_refcnt_update(struct rte_mbuf *mbuf, int16_t value);
/** `rte_ring_dequeue`. */
int shim_rte_ring_dequeue(struct rte_ring *ring, void **object);
/** `rte_eth_link_get_nowait`: 1 if the link is up, 0 if it is down, negative on error. Its speed in Mbit/s. */
int shim_rte_eth_link_get_nowait(uint16_t port, uint32_t *speed);
/** `rte_tel_data_start_array` of unsigned numbers. */
int shim_rte_tel_data_start_array_uint(struct rte_tel_data *data);
/** `rte_tel_data_start_array` of strings. */
int shim_rte_tel_data_start_array_string(struct rte_tel_data *data);
/** `rte_tel_data_add_array_uint`, which had another name before DPDK 23.03. */
int shim_rte_tel_data_add_array_uint(struct rte_tel_data *data, uint64_t value);
/** `rte_tel_data_add_dict_uint`, which had another name before DPDK 23.03. */
int shim_rte_tel_data_add_dict_uint(struct rte_tel_data *data, const char *name, uint64_t value);
/** `sizeof(struct rte_mbuf)`, as the C compiler has it. */
size_t shim_mbuf_size(void);
/** `offsetof(struct rte_mbuf, …)` by the field's name, as the C compiler has it; `SIZE_MAX` for another name. */
size_t shim_mbuf_offset(const char *field);

#endif
