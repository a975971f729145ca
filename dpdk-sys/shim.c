/* One extern function per static inline that the bindings need: bindgen can't call inlines. */
#include "wrapper.h"

#include <string.h>

int shim_rte_errno(void)
{
	return rte_errno;
}

unsigned shim_rte_lcore_id(void)
{
	return rte_lcore_id();
}

/*
 * Bursts as rte_eth_rx_burst and rte_eth_tx_burst have them. Where callbacks are on a queue, a call of those is made
 * out of line: what they keep beside the driver's call would be saved and restored for every burst.
 * A callback that is added during a burst is called from the next one on.
 */
#if defined(RTE_ETHDEV_DEBUG_RX) || defined(RTE_ETHDEV_DEBUG_TX) || defined(RTE_ENABLE_TRACE_FP)
#define HAS_MORE_THAN_DRIVER(queues, queue) true
#elif defined(RTE_ETHDEV_RXTX_CALLBACKS)
#define HAS_MORE_THAN_DRIVER(queues, queue)                                                                  \
	unlikely(__atomic_load_n((void **)&(queues).clbk[queue], __ATOMIC_RELAXED) != NULL)
#else
#define HAS_MORE_THAN_DRIVER(queues, queue) false
#endif

static __rte_noinline uint16_t whole_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

static __rte_noinline uint16_t whole_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

uint16_t shim_rte_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port];

	if (HAS_MORE_THAN_DRIVER(ops->rxq, queue))
		return whole_rx_burst(port, queue, mbufs, count);
	return ops->rx_pkt_burst(ops->rxq.data[queue], mbufs, count);
}

uint16_t shim_rte_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port];

	if (HAS_MORE_THAN_DRIVER(ops->txq, queue))
		return whole_tx_burst(port, queue, mbufs, count);
	return ops->tx_pkt_burst(ops->txq.data[queue], mbufs, count);
}

uint16_t shim_rte_eth_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_prepare(port, queue, mbufs, count);
}

int shim_rte_eth_rx_queue_count(uint16_t port, uint16_t queue)
{
	return rte_eth_rx_queue_count(port, queue);
}

/*
 * As rte_pktmbuf_alloc_bulk, but for the second cache line of each mbuf, which is left alone: in a pool an
 * mbuf has no next segment (rte_mbuf_raw_alloc), and its offloads mean nothing without flags that say so.
 * No pool of ours has buffers shorter than the headroom. From the start of its data to its lengths an mbuf
 * is written in whole words, as vector drivers do: stores are what this costs.
 */
int shim_rte_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned count)
{
	/* Of a mbuf in a pool one reference and one segment are so already. */
	static const struct rte_mbuf blank = {
		.data_off = RTE_PKTMBUF_HEADROOM,
		.refcnt = 1,
		.nb_segs = 1,
		.port = RTE_MBUF_PORT_INVALID,
	};
	const size_t start = offsetof(struct rte_mbuf, data_off);
	const size_t end = offsetof(struct rte_mbuf, buf_len) - sizeof(uint16_t);
	int error = rte_mempool_get_bulk(pool, (void **)mbufs, count);
	unsigned index;

	if (error)
		return error;
	for (index = 0; index < count; index++)
		memcpy((char *)mbufs[index] + start, (const char *)&blank + start, end - start);
	return 0;
}

void shim_rte_pktmbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

int shim_rte_pktmbuf_linearize(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_linearize(mbuf);
}

void shim_rte_pktmbuf_attach(struct rte_mbuf *indirect, struct rte_mbuf *direct)
{
	rte_pktmbuf_attach(indirect, direct);
}

uint16_t shim_rte_mbuf_refcnt_update(struct rte_mbuf *mbuf, int16_t value)
{
	return rte_mbuf_refcnt_update(mbuf, value);
}

int shim_rte_ring_dequeue(struct rte_ring *ring, void **object)
{
	return rte_ring_dequeue(ring, object);
}

int shim_rte_eth_link_get_nowait(uint16_t port, uint32_t *speed)
{
	struct rte_eth_link link = {0};
	int error = rte_eth_link_get_nowait(port, &link);

	*speed = link.link_speed;
	return error < 0 ? error : link.link_status == RTE_ETH_LINK_UP;
}

#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
#define TEL_UINT RTE_TEL_UINT_VAL
#define tel_add_array_uint rte_tel_data_add_array_uint
#define tel_add_dict_uint rte_tel_data_add_dict_uint
#else
#define TEL_UINT RTE_TEL_U64_VAL
#define tel_add_array_uint rte_tel_data_add_array_u64
#define tel_add_dict_uint rte_tel_data_add_dict_u64
#endif

int shim_rte_tel_data_start_array_uint(struct rte_tel_data *data)
{
	return rte_tel_data_start_array(data, TEL_UINT);
}

int shim_rte_tel_data_start_array_string(struct rte_tel_data *data)
{
	return rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
}

int shim_rte_tel_data_add_array_uint(struct rte_tel_data *data, uint64_t value)
{
	return tel_add_array_uint(data, value);
}

int shim_rte_tel_data_add_dict_uint(struct rte_tel_data *data, const char *name, uint64_t value)
{
	return tel_add_dict_uint(data, name, value);
}

size_t shim_mbuf_size(void)
{
	return sizeof(struct rte_mbuf);
}

size_t shim_mbuf_offset(const char *field)
{
#define FIELD(name)                                                                                          \
	if (strcmp(field, #name) == 0)                                                                       \
		return offsetof(struct rte_mbuf, name)
	FIELD(buf_addr);
	FIELD(data_off);
	FIELD(refcnt);
	FIELD(nb_segs);
	FIELD(port);
	FIELD(ol_flags);
	FIELD(pkt_len);
	FIELD(data_len);
	FIELD(buf_len);
	FIELD(pool);
	FIELD(next);
	FIELD(tx_offload);
#undef FIELD
	return SIZE_MAX;
}
