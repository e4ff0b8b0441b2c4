export { createInventory, type Inventory, type InventoryOptions } from './inventory.ts';
