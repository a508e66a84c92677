// WorkerView: one view as one worker has it: the snapshot it has adopted and its side of each cluster.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/lazy_cluster.h"
#include "proxy/proxy.h"
#include "proxy/tls_contexts.h"
#include "proxy/worker_cluster.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// The clusters of a view by ClusterId, as the control thread has made them so far; they live as long as the proxy.
using ClusterTable = std::vector<LazyCluster*>;

class WorkerView final : public SecretSource, public ClusterDirectory {
 public:
  WorkerView(ViewId id, net::Loop& loop, unsigned worker, Random& random, TlsContexts& tls)
      : id_(id), loop_(loop), worker_(worker), random_(random), tls_(tls) {}

  void adopt(std::shared_ptr<const runtime::Snapshot> snapshot, std::shared_ptr<const ClusterTable> table) {
    snapshot_ = std::move(snapshot);
    table_ = std::move(table);
    ++version_;
    for (const auto& cluster : clusters_) {
      if (cluster != nullptr) cluster->refresh();
    }
  }
  // Moves with every adoption.
  std::uint64_t version() const { return version_; }

  ViewId id() const { return id_; }
  const std::shared_ptr<const runtime::Snapshot>& snapshot() const { return snapshot_; }
  // The policy of now; null: there is no such cluster.
  std::shared_ptr<const runtime::Cluster> policy(runtime::ClusterId id) const {
    return snapshot_ == nullptr || id >= snapshot_->clusters.size() ? nullptr : snapshot_->clusters[id];
  }
  // A cluster by its name; nothing where there is none.
  std::optional<runtime::ClusterId> find_cluster(std::string_view name) {
    if (ids_version_ != version_) {
      ids_.clear();
      for (std::size_t i = 0; snapshot_ != nullptr && i < snapshot_->clusters.size(); ++i) {
        if (snapshot_->clusters[i] != nullptr) ids_.emplace(snapshot_->clusters[i]->name, static_cast<runtime::ClusterId>(i));
      }
      ids_version_ = version_;
    }
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional<runtime::ClusterId>(found->second);
  }
  // Made at the first use; null: the control thread has never heard of it.
  WorkerCluster* cluster(runtime::ClusterId id) {
    if (table_ == nullptr || id >= table_->size()) return nullptr;
    if (id >= clusters_.size()) clusters_.resize(table_->size());
    if (clusters_[id] == nullptr) clusters_[id] = std::make_unique<WorkerCluster>(loop_, (*table_)[id]->get(loop_.now()), worker_, random_, TransportSource{&tls_, this}, this);
    return clusters_[id].get();
  }
  // Null: there is none. The pointer is good until the next adoption.
  const std::shared_ptr<const runtime::RouteTable>* route_table(std::string_view name) const {
    if (snapshot_ == nullptr) return nullptr;
    const auto found = snapshot_->route_tables.find(name);
    return found == snapshot_->route_tables.end() ? nullptr : &found->second;
  }
  std::shared_ptr<const runtime::Listener> listener(std::string_view name) const {
    if (snapshot_ == nullptr) return nullptr;
    const auto found = snapshot_->listeners.find(name);
    return found == snapshot_->listeners.end() ? nullptr : found->second;
  }
  std::shared_ptr<const runtime::Secret> secret(std::string_view name) const override {
    if (snapshot_ == nullptr) return nullptr;
    const auto found = snapshot_->secrets.find(name);
    return found == snapshot_->secrets.end() ? nullptr : found->second;
  }
  void drain() {
    for (const auto& cluster : clusters_) {
      if (cluster != nullptr) cluster->drain();
    }
  }

 private:
  const Cluster* find(std::string_view name) override {
    const std::optional<runtime::ClusterId> id = find_cluster(name);
    return id && table_ != nullptr && *id < table_->size() ? &(*table_)[*id]->get(loop_.now()) : nullptr;
  }

  const ViewId id_;
  net::Loop& loop_;
  const unsigned worker_;
  Random& random_;
  TlsContexts& tls_;
  std::shared_ptr<const runtime::Snapshot> snapshot_;
  std::shared_ptr<const ClusterTable> table_;
  std::uint64_t version_ = 1;
  std::unordered_map<std::string_view, runtime::ClusterId> ids_;   // of snapshot_, made when it is asked for
  std::uint64_t ids_version_ = 0;
  std::vector<std::unique_ptr<WorkerCluster>> clusters_;
};

}  // namespace lateen::proxy
